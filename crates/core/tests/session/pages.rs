//! What other sites' pages make a browser send, and what a page's WebSocket sends.

use countersign::Code;
use countersign::schemes::session::{Halves, HandshakePolicy};
use countersign::testing::Request;

use crate::world::{Halved as _, World, bare, with_both};

async fn code(method: &str, headers: &[(&'static str, &str)]) -> Option<Code> {
    let (world, halves) = World::demanding(HandshakePolicy::Never).with_ann().await;
    let with = |request: Request, (name, value): &(&'static str, &str)| request.with(name, value);
    world.code(&headers.iter().fold(with_both(method, &halves), with)).await
}

#[tokio::test]
async fn a_foreign_origin_changes_nothing() {
    for origin in [
        "https://evil.example",
        "null",
        "",
        "http://bob.example",
        "https://bob.example:8443",
        "https://bob.example:443",
        "https://bob.example.evil.example",
        "https://evilbob.example",
        "https://sub.bob.example",
        "https://bob.example/",
        "https://bob.example@evil.example",
        "HTTPS://BOB.EXAMPLE",
        "https://bob.example https://evil.example",
        "https://sub.app.example",
        "https://app.example.evil.example",
        "https://evilapp.example",
    ] {
        assert_eq!(code("POST", &[("origin", origin)]).await, Some(Code::CrossSite), "{origin}");
        assert_eq!(code("GET", &[("origin", origin)]).await, None, "{origin}");
        let upgrade = [("origin", origin), ("upgrade", "websocket")];
        assert_eq!(code("GET", &upgrade).await, Some(Code::CrossSite), "{origin}");
    }
    let twice = [("origin", "https://bob.example"), ("origin", "https://evil.example")];
    assert_eq!(code("POST", &twice).await, Some(Code::CrossSite));
    let twice = [("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")];
    assert_eq!(code("POST", &twice).await, Some(Code::CrossSite));
}

#[tokio::test]
async fn our_own_pages_and_clients_that_are_no_browser_pass() {
    assert_eq!(code("POST", &[]).await, None);
    for site in ["same-origin", "same-site", "none"] {
        assert_eq!(code("POST", &[("sec-fetch-site", site)]).await, None, "{site}");
        let both = [("origin", "https://bob.example"), ("sec-fetch-site", site)];
        assert_eq!(code("PUT", &both).await, None, "{site}");
    }
}

#[tokio::test]
async fn what_says_that_it_comes_from_another_site_is_believed() {
    for site in ["cross-site", "", "Same-Origin", "nonsense"] {
        assert_eq!(code("POST", &[("sec-fetch-site", site)]).await, Some(Code::CrossSite), "{site}");
        let both = [("origin", "https://bob.example"), ("sec-fetch-site", site)];
        assert_eq!(code("POST", &both).await, Some(Code::CrossSite), "{site}");
        assert_eq!(code("GET", &[("sec-fetch-site", site)]).await, None, "{site}");
    }
}

#[tokio::test]
async fn an_origin_that_may_call_passes_although_it_is_another_site() {
    let allowed = ("origin", "https://app.example");
    assert_eq!(code("POST", &[allowed, ("sec-fetch-site", "cross-site")]).await, None);
    assert_eq!(code("POST", &[allowed]).await, None);
}

fn socket(halves: &Halves, protocols: &str) -> Request {
    bare("GET")
        .cookie(&halves.cookie)
        .with("upgrade", "websocket")
        .with("connection", "upgrade")
        .with("origin", "https://bob.example")
        .with("sec-websocket-protocol", protocols)
}

#[tokio::test]
async fn a_websocket_brings_half_and_handshake_as_subprotocols() {
    let (world, halves) = World::signed_in().await;
    let handshake = world.handshake(&halves).await;
    let half = format!("countersign.half.{}", halves.token.reveal().expose());
    let handshake = format!("countersign.handshake.{}", handshake.reveal().expose());
    assert_eq!(world.code(&socket(&halves, &half)).await, Some(Code::HandshakeMissing));
    assert_eq!(world.code(&socket(&halves, &handshake)).await, Some(Code::ProofHalf));
    assert_eq!(world.code(&socket(&halves, "chat")).await, Some(Code::ProofHalf));
    let short = socket(&halves, "countersign.half.short");
    assert_eq!(world.code(&short).await, Some(Code::CredentialMalformed));
    let twice = socket(&halves, &format!("{half}, {half}"));
    assert_eq!(world.code(&twice).await, Some(Code::CredentialAmbiguous));
    let elsewhere = socket(&halves, &half).token(&halves.token);
    assert_eq!(world.code(&elsewhere).await, Some(Code::CredentialAmbiguous));
    let mut no_upgrade = socket(&halves, &format!("{half}, {handshake}"));
    no_upgrade.headers.remove("upgrade");
    assert_eq!(world.code(&no_upgrade).await, Some(Code::ProofHalf), "only an upgrade needs this way");
    let two_lines = socket(&halves, &half).with("sec-websocket-protocol", &format!("chat,{handshake}"));
    assert_eq!(world.code(&two_lines).await, None);
    assert_eq!(world.code(&two_lines).await, Some(Code::HandshakeUsed));
}
