//! Two gateways that reach each other over https under an authority of their own, as in a lab.

use std::net::SocketAddr;

use countersign_testing::{Echo, Gateway, Request, Response, free_address};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

/// Certificate and key for `name`, signed by `authority`, in a gateway's folder.
fn certify(gateway: &Gateway, authority: &Authority, name: &str, expired: bool) {
    let mut parameters = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if expired {
        parameters.not_before = date_time_ymd(2020, 1, 1);
        parameters.not_after = date_time_ymd(2021, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate = parameters.signed_by(&key, authority).unwrap();
    std::fs::write(gateway.path("tls.pem"), certificate.pem()).unwrap();
    std::fs::write(gateway.path("tls.key"), key.serialize_pem()).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(gateway.path("tls.key"), mode).unwrap();
}

/// What Alice and Bob are set up with.
struct Lab {
    /// The name in Alice's certificate.
    alice_is_called: &'static str,
    expired: bool,
    /// Whether Bob trusts the authority that signed it.
    trusted: bool,
    /// Whether Bob lists Alice by her origin only.
    by_origin: bool,
}

const SOUND: Lab = Lab { alice_is_called: "localhost", expired: false, trusted: true, by_origin: false };

/// Alice calls Bob: his gateway, and where her application connects.
fn lab(echo: &Echo, lab: &Lab) -> (Gateway, Gateway, SocketAddr) {
    let (ours, theirs) = (authority(), authority());
    let tls = "tls = { cert_file = \"tls.pem\", key_file = \"tls.key\" }";
    let (mut alice, mut bob) = (Gateway::new(""), Gateway::new(""));
    let outbound = free_address();
    let (alice_url, bob_url) = (
        format!("https://localhost:{}", alice.address.port()),
        format!("https://localhost:{}", bob.address.port()),
    );
    certify(&alice, if lab.trusted { &ours } else { &theirs }, lab.alice_is_called, lab.expired);
    certify(&bob, &ours, "localhost", false);
    for gateway in [&alice, &bob] {
        std::fs::write(gateway.path("authority.pem"), ours.pem()).unwrap();
    }
    let egress = |port: u16| {
        format!(
            "[egress]\nca_file = \"authority.pem\"\nports = [{port}]\nallow_private = [\"127.0.0.0/8\", \"::1\"]\n"
        )
    };
    let webhook = format!("{alice_url}/.well-known/webhook-auth");
    alice.configure(
        &format!("public_url = {alice_url:?}\n{tls}"),
        &format!(
            "{}[[outbound]]\nlisten = \"{outbound}\"\ntarget = {bob_url:?}\nprove = {{ webhook = {webhook:?} }}\n",
            egress(bob.address.port())
        ),
    );
    let caller = if lab.by_origin { &alice_url } else { &webhook };
    bob.configure(
        &format!("public_url = {bob_url:?}\n{tls}"),
        &format!(
            "{}[webhook]\ncallers = [{caller:?}]\n[[route]]\npath = \"/orders/*\"\nupstream = \"{}\"\naccept = [\"webhook\"]\n",
            egress(alice.address.port()),
            echo.url()
        ),
    );
    alice.start();
    bob.start();
    (alice, bob, outbound)
}

fn call(outbound: SocketAddr) -> Response {
    let host = format!("Host: {outbound}\r\n");
    let bytes = String::from_utf8(Request::get("/orders/1").bytes()).unwrap();
    countersign_testing::exchange(outbound, bytes.replacen("Host: gateway\r\n", &host, 1).as_bytes())
}

#[test]
fn over_https_the_certificate_names_the_host() {
    let echo = Echo::start();
    let (alice, bob, outbound) = lab(&echo, &SOUND);
    for _ in 0..2 {
        let answer = call(outbound);
        assert_eq!(answer.status, 200, "{} {}", answer.text(), bob.log());
    }
    let subject = format!("webhook:https://localhost:{}/.well-known/webhook-auth", alice.address.port());
    assert_eq!(echo.last().header("countersign-subject"), Some(&*subject));
    // What is allowed for labs is said wherever the state is shown.
    let checked = bob.run(&["config", "check"]);
    let said = [checked.stdout, checked.stderr].concat();
    assert!(
        String::from_utf8_lossy(&said).contains("egress.allow_private"),
        "{}",
        String::from_utf8_lossy(&said)
    );
    assert!(bob.log().contains("egress.allow_private"));
}

#[test]
fn a_certificate_for_another_name_expired_or_by_nobody_trusted_is_no_answer() {
    let echo = Echo::start();
    for unsound in [
        Lab { alice_is_called: "alice.example", ..SOUND },
        Lab { expired: true, ..SOUND },
        Lab { trusted: false, ..SOUND },
    ] {
        let (_alice, _bob, outbound) = lab(&echo, &unsound);
        call(outbound).is(502, "webhook_unreachable");
    }
    assert_eq!(echo.seen().len(), 0);
}

#[test]
fn a_host_that_the_request_chose_is_not_dialled_on_a_private_address() {
    let echo = Echo::start();
    let (_alice, _bob, outbound) = lab(&echo, &Lab { by_origin: true, ..SOUND });
    call(outbound).is(403, "webhook_address_forbidden");
    assert_eq!(echo.seen().len(), 0);
}
