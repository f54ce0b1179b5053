//! Tests probes of all kinds of servers, good and bad.

use super::super::fake_peer::{FakePeer, OTHER_KEY, PUBLIC_KEY};
use super::*;

/// Shorter than in production, so silent servers do not slow down the tests; much longer than a
/// handshake.
const LIMITS: ProbeLimits = ProbeLimits {
    step: Duration::from_millis(1500),
    whole: Duration::from_millis(2500),
};

fn target(role: PeerRole, port: u16) -> PeerTarget {
    PeerTarget::new(role, "127.0.0.1", port).with_key(Some(PUBLIC_KEY.into()))
}

async fn find(target: PeerTarget) -> ProbeOutcome {
    let begun = std::time::Instant::now();
    let found = probe_within(&target, LIMITS, Timestamp::now()).await;
    let took = begun.elapsed();
    assert!(took < LIMITS.whole + Duration::from_secs(2), "{took:?}");
    found
}

async fn find_with(peer: FakePeer) -> ProbeOutcome {
    find(target(PeerRole::Pool, peer.serve().await.0)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_the_right_key_answers_whatever_its_role() {
    for role in [
        PeerRole::Pool,
        PeerRole::JobDeclarationServer,
        PeerRole::TemplateProvider,
    ] {
        let (port, _) = FakePeer::Answering.serve().await;
        assert_eq!(
            probe(&target(role, port)).await,
            ProbeOutcome::Answers,
            "{role:?}"
        );
        // Without a key every certificate is accepted, as by the client.
        assert_eq!(
            probe(&PeerTarget::new(role, "localhost", port)).await,
            ProbeOutcome::Answers
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_cannot_be_connected_to() {
    let port = FakePeer::free_port().await;
    assert_eq!(
        find(target(PeerRole::Pool, port)).await,
        ProbeOutcome::ConnectionRefused
    );
    let nowhere = PeerTarget::new(PeerRole::Pool, "no-such-host.invalid", 1);
    assert_eq!(find(nowhere).await, ProbeOutcome::UnknownHost);
    for host in ["", "a b", "nul\0", &"x".repeat(5000)] {
        let odd = PeerTarget::new(PeerRole::Pool, host, 1);
        assert!(
            matches!(
                find(odd).await,
                ProbeOutcome::UnknownHost | ProbeOutcome::ConnectionRefused
            ),
            "{host}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_accepts_and_then_does_not_answer() {
    let step = ProbeStep::Handshake;
    assert_eq!(
        find_with(FakePeer::Silent).await,
        ProbeOutcome::NoAnswer { step }
    );
    assert_eq!(
        find_with(FakePeer::Closing).await,
        ProbeOutcome::Closed { step }
    );
    let step = ProbeStep::Setup;
    assert_eq!(
        find_with(FakePeer::SilentAfterHandshake).await,
        ProbeOutcome::NoAnswer { step }
    );
    assert_eq!(
        find_with(FakePeer::ClosingAfterHandshake).await,
        ProbeOutcome::Closed { step }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_another_protocol() {
    let v1 = b"{\"id\":null,\"result\":null,\"error\":[20,\"Not a method\",null]}\n";
    let table: [(&'static [u8], bool); 4] = [
        (v1, true),
        (b"{", false),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", false),
        (&[0x41; 400], false),
    ];
    for (says, is_v1) in table {
        assert_eq!(
            find_with(FakePeer::Saying(says)).await,
            ProbeOutcome::NotSv2 { is_v1 }
        );
    }
    // A server that never stops sending is not read forever.
    assert_eq!(
        find_with(FakePeer::Dripping).await,
        ProbeOutcome::NotSv2 { is_v1: false }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_another_key_or_another_time() {
    let (port, _) = FakePeer::Answering.serve().await;
    let target = |key: &str| {
        PeerTarget::new(PeerRole::Pool, "127.0.0.1", port).with_key(Some(key.to_owned()))
    };
    assert_eq!(find(target(OTHER_KEY)).await, ProbeOutcome::WrongKey);
    assert_eq!(find(target("nonsense")).await, ProbeOutcome::InvalidKey);
    for (shift, words) in [(7200, "ahead"), (-3600, "behind")] {
        let now = Timestamp(Timestamp::now().0 + shift * 1000);
        let found = probe_within(&target(PUBLIC_KEY), LIMITS, now).await;
        assert!(
            matches!(found, ProbeOutcome::CertificateTime { .. }),
            "{found:?}"
        );
        let text = found.text(PeerRole::Pool, "pool 1 (h:1)");
        assert!(text.contains(words), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_the_setup() {
    let refuses = |content| find_with(FakePeer::Replying(2, content));
    assert_eq!(
        refuses(b"\0\0\0\0\x14unsupported-protocol").await,
        ProbeOutcome::SetupRefused {
            code: "unsupported-protocol".into()
        }
    );
    assert_eq!(
        refuses(b"\0\0\0\0\x19protocol-version-mismatch").await,
        ProbeOutcome::UnsupportedVersion
    );
    // Unprintable characters are removed, long texts are truncated.
    let ProbeOutcome::SetupRefused { code } = refuses(b"\0\0\0\0\x08a\x1b[31m\n<").await else {
        panic!("not refused");
    };
    assert_eq!(code, "a[31m<");
    assert_eq!(
        refuses(b"\0\0\0\0\0").await,
        ProbeOutcome::SetupRefused {
            code: "no reason given".into()
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_answer_to_the_setup_makes_no_sense() {
    let fault = ProbeOutcome::NotSv2 { is_v1: false };
    for (kind, content) in [
        (1, &b"\x02\0"[..]),
        (2, b"\0\0\0\0\xffshort"),
        (77, b"\0"),
        (1, b""),
        (1, &[7; 600]),
    ] {
        assert_eq!(
            find_with(FakePeer::Replying(kind, content)).await,
            fault,
            "{kind} {content:?}"
        );
    }
    assert_eq!(
        find_with(FakePeer::Replying(1, &[3, 0, 0, 0, 0, 0])).await,
        ProbeOutcome::UnsupportedVersion
    );
}
