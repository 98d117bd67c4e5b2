//! Memory with many keys and many idle connections.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::Failure;
use crate::contender::{Bench, Contender, Guard};

/// What was held, and the memory that it took in KiB.
pub(crate) struct Memory {
    /// Keys in the store.
    pub(crate) keys: usize,
    /// Memory before any connection.
    pub(crate) at_start: u64,
    /// Connections that were open, each after one request.
    pub(crate) connections: usize,
    /// Memory with all of them.
    pub(crate) with_connections: u64,
}

/// Holds up to `connections` idle connections to a gateway with the most keys.
pub(crate) fn measure(bench: &Bench, connections: usize) -> Result<Memory, Failure> {
    let most = bench.contenders.iter().filter_map(|contender| match contender {
        Contender::Gateway(guard) => Some(guard.keys),
        _ => None,
    });
    let keys = most.max().unwrap_or_default();
    let (process, address) = bench.start(Contender::Gateway(Guard::public(keys)))?;
    let at_start = process.resident()?;
    let mut held = Vec::new();
    while held.len() < connections {
        // A full table of open files ends it early, and the report says how many there were.
        let Ok(stream) = used_once(address) else { break };
        held.push(stream);
    }
    std::thread::sleep(Duration::from_secs(1));
    Ok(Memory { keys, at_start, connections: held.len(), with_connections: process.resident()? })
}

/// A connection that has carried one request, as a client's pool holds it.
fn used_once(address: SocketAddr) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /orders/1 HTTP/1.1\r\nHost: bench\r\n\r\n")?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\nHello, world\n") {
        let mut piece = [0; 512];
        let length = stream.read(&mut piece)?;
        if length == 0 {
            return Err("the connection was closed".into());
        }
        answer.extend_from_slice(&piece[..length]);
    }
    Ok(stream)
}
