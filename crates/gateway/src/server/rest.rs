//! What is left of a body when its request is answered without it.

use std::time::Duration;

use countersign_tower::GateBody;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::time::timeout;

/// How much is thrown away rather than the connection.
const SMALL: u64 = 64 * 1024;
/// How long is waited for it: many clients write a head and a body by two calls, and the second is on its way.
const MOMENT: Duration = Duration::from_millis(50);

/// Throws away what is left of a small body that has come. Whether nothing of it is still to come, so that the
/// connection can carry another request.
pub(super) async fn throw_away(body: &mut GateBody<Incoming>) -> bool {
    let GateBody::Streaming(rest) = body else { return body.is_received() };
    if rest.is_end_stream() || rest.size_hint().lower() > SMALL {
        return rest.is_end_stream();
    }
    let reading = async {
        let mut left = SMALL;
        while let Some(frame) = rest.frame().await {
            let length = frame.map(|frame| frame.data_ref().map_or(0, |data| data.len() as u64));
            match length.ok().and_then(|length| left.checked_sub(length)) {
                Some(rest) => left = rest,
                None => return false,
            }
        }
        true
    };
    timeout(MOMENT, reading).await.unwrap_or(false)
}
