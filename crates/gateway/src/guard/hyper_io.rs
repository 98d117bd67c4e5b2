//! hyper's own traits for the two guards, next to tokio's.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};

use super::io::GuardedIo;
use super::upstream::UpstreamIo;

macro_rules! impl_hyper_traits {
    ($guard:ident) => {
        impl<T: AsyncRead + AsyncWrite + Unpin> Read for $guard<T> {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                cursor: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                Read::poll_read(Pin::new(&mut TokioIo::new(self.get_mut())), context, cursor)
            }
        }

        impl<T: AsyncRead + AsyncWrite + Unpin> Write for $guard<T> {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                AsyncWrite::poll_write(self, context, bytes)
            }

            fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                AsyncWrite::poll_flush(self, context)
            }

            fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                AsyncWrite::poll_shutdown(self, context)
            }

            fn is_write_vectored(&self) -> bool {
                AsyncWrite::is_write_vectored(self)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                slices: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                AsyncWrite::poll_write_vectored(self, context, slices)
            }
        }
    };
}

impl_hyper_traits!(GuardedIo);
impl_hyper_traits!(UpstreamIo);
