//! Tests each rule with its example, and with lines that must not match.

use super::*;
use proptest::prelude::*;

/// A target and a message, as they stand in a line.
fn parts(line: &str) -> (&[u8], &[u8]) {
    let (target, message) = line.split_once(": ").expect("an example names a target");
    (target.as_bytes(), message.as_bytes())
}

fn fact(line: &str) -> Option<LogFact> {
    let (target, message) = parts(line);
    recognise(target, message)
}

fn refused(words: &str, code: PoolLeaveCode) -> LogFact {
    LogFact::PoolRefused {
        words: words.into(),
        code,
    }
}

/// What each rule's example says, in the order of the table.
fn expected() -> Vec<LogFact> {
    let certificate = CertificateValidity {
        from: 1_795_383_253,
        until: 1_795_386_853,
    };
    let rejected = "its certificate was rejected".to_owned();
    vec![
        LogFact::PoolsTried,
        LogFact::PoolTryFailed {
            words: "Connection refused".into(),
            certificate: None,
            code: PoolLeaveCode::Unreachable,
        },
        LogFact::ProviderTried { attempt: 2 },
        LogFact::PoolTriedAgain,
        LogFact::PoolLost {
            words: Some("a job was rejected".into()),
            code: PoolLeaveCode::JobRejected,
        },
        LogFact::WaitingEnded,
        LogFact::ProviderRefused {
            words: "Connection refused".into(),
            certificate: None,
        },
        LogFact::ProviderRefused {
            words: "No such file or directory (os error 2)".into(),
            certificate: None,
        },
        LogFact::ProviderRefused {
            words: "its chain is too short for a template".into(),
            certificate: None,
        },
        refused(
            "the pool's name cannot be resolved",
            PoolLeaveCode::UnknownName,
        ),
        refused(
            "the job declaration server's name cannot be resolved",
            PoolLeaveCode::UnknownName,
        ),
        LogFact::ProviderRefused {
            words: "its name cannot be resolved".into(),
            certificate: None,
        },
        LogFact::ProviderGivenUp {
            words: "no response in time".into(),
        },
        LogFact::Solo,
        LogFact::Solo,
        LogFact::ClientStarts,
        LogFact::PoolWorks,
        LogFact::PoolLost {
            words: Some("the job declaration server closed the connection".into()),
            code: PoolLeaveCode::ConnectionLost,
        },
        LogFact::Ended,
        LogFact::Ended,
        LogFact::PoolGivenUp,
        LogFact::ProviderShookHands,
        LogFact::ProviderRefused {
            words: rejected,
            certificate: Some(certificate),
        },
        LogFact::MinerRefused {
            words: "InvalidKey".into(),
        },
        LogFact::MinerCertificate { certificate },
        refused(
            "the pool grants 8 bytes of extranonce, the client needs 12",
            PoolLeaveCode::ExtranonceTooSmall,
        ),
        refused(
            "the pool closed the channel: maintenance",
            PoolLeaveCode::ChannelClosed,
        ),
        LogFact::SharesAccepted { count: 3 },
        LogFact::ShareRejected {
            reason: "stale-share".into(),
        },
        LogFact::Template,
        LogFact::PrevHash {
            header_time: Some(1_795_383_156),
            // Shortened in the example.
            block: None,
        },
        LogFact::JobDeclared,
        LogFact::JobRefused {
            words: Some("the job declaration server rejected a job: invalid-job".into()),
        },
        LogFact::JobAccepted,
        LogFact::JobRefused {
            words: Some("the pool rejected a job: invalid-coinbase-tx".into()),
        },
        LogFact::MinerServed,
        LogFact::MinerServed,
        refused(
            "the pool opened no channel: unknown-user",
            PoolLeaveCode::UnknownAccount,
        ),
        refused(
            "the pool rejected the connection: unsupported-protocol",
            PoolLeaveCode::SetupRefused,
        ),
        refused(
            "the job declaration server rejected the connection: unsupported-protocol",
            PoolLeaveCode::SetupRefused,
        ),
        LogFact::ProviderRefused {
            words: "protocol-version-mismatch".into(),
            certificate: None,
        },
        LogFact::WaitingEnded,
        refused(
            "the pool requires extension 3",
            PoolLeaveCode::ExtensionRequired,
        ),
        refused(
            "the pool does not support extension 2",
            PoolLeaveCode::ExtensionUnsupported,
        ),
        LogFact::Block {
            hash: "01b318b0".into(),
        },
        LogFact::MinerShareAccepted,
        LogFact::MinerShareAccepted,
        LogFact::ShareSent,
        LogFact::ShareSent,
        LogFact::Solo,
        LogFact::ProviderConnected,
        LogFact::PoolTried {
            number: 1,
            of: 2,
            pool: "pool.example:25333".into(),
            jds: "[::1]:25334".into(),
        },
        LogFact::ProviderGivenUp {
            words: "the connection was closed".into(),
        },
        LogFact::ProviderLost,
        LogFact::ProviderLost,
        LogFact::NodeTried,
        LogFact::PoolShookHands,
        LogFact::PoolSkipped,
        refused(
            "the client cannot use SetExtranoncePrefix from the pool",
            PoolLeaveCode::ChannelUnusable,
        ),
        LogFact::PoolFailed {
            words: "the connection was closed".into(),
            code: PoolLeaveCode::ConnectionLost,
        },
        LogFact::PoolLost {
            words: None,
            code: PoolLeaveCode::ConnectionLost,
        },
        LogFact::PoolLost {
            words: Some("the pool closed the connection".into()),
            code: PoolLeaveCode::ConnectionLost,
        },
        LogFact::Waiting,
        LogFact::Panicked {
            place: "stratum-apps-0.8.0/src/monitoring/http_server.rs:253:32:".into(),
        },
        LogFact::JobRefused { words: None },
        LogFact::JobRefused { words: None },
        LogFact::MinerShareRejected,
        LogFact::Block {
            hash: "01b318b0".into(),
        },
    ]
}

#[test]
fn each_rule_knows_its_example_and_no_other_rule_does() {
    assert_eq!(FACTS.len(), expected().len());
    for (at, (rule, expected)) in FACTS.iter().zip(expected()).enumerate() {
        let (target, message) = parts(rule.example);
        assert_eq!(
            recognise(target, message),
            Some(expected),
            "{}",
            rule.example
        );
        let knows: Vec<usize> = (0..FACTS.len())
            .filter(|other| FACTS[*other].apply(target, message).is_some())
            .collect();
        assert_eq!(knows, [at], "{}", rule.example);
    }
}

#[test]
fn the_same_words_of_another_module_say_nothing() {
    for line in [
        "jd_client_sv2::channel_manager::upstream_message_handler: Received: SetNewPrevHash(channel_id=7, min_ntime=1)",
        "jd_client_sv2::channel_manager::downstream_message_handler: Received: SubmitSharesSuccess(new_submits_accepted_count=1)",
        "jd_client_sv2::not_upstream::message_handler_too: Received: SetupConnectionError(flags: 0, error_code: x)",
        "some_crate::jdc_runtime: Starting in solo mining mode",
        ": Starting in solo mining mode",
        "jd_client_sv2::jdc_runtime: now Starting in solo mining mode",
        "jd_client_sv2::jdc_runtime: ",
    ] {
        assert_eq!(fact(line), None, "{line}");
    }
}

#[test]
fn what_only_looks_like_it_says_nothing() {
    for line in [
        // Only logged; the connection goes on.
        "jd_client_sv2::template_receiver::sv2_tp: TemplateReceiver template provider handler failed: JDCError { kind: X, action: Log, }",
        "jd_client_sv2::upstream: Upstream::handle_pool_message_frame returned a log-only error error_kind=X",
        // A miner that is none, or that went away.
        "jd_client_sv2::channel_manager: Noise handshake failed error=HandshakeTimeout",
        "jd_client_sv2::channel_manager::downstream_message_handler: SubmitSharesExtended: Propagating solution to the Template Provider.",
        "jd_client_sv2::channel_manager: Channel Manager: received shutdown signal",
        "jd_client_sv2::jdc_runtime: Trying upstream one of two",
        "jd_client_sv2::channel_manager::upstream_message_handler: Received: SubmitSharesSuccess(new_submits_accepted_count=\
         99999999999999999999999999)",
    ] {
        assert_eq!(fact(line), None, "{line}");
    }
}

#[test]
fn versions_below_0_6_0_say_some_things_in_other_words() {
    for (line, expected) in [
        (
            "jd_client_sv2::template_receiver::sv2_tp: Failed to connect to template provider attempt=1 MAX_RETRIES=3 error=Connection \
             refused (os error 111)",
            LogFact::ProviderRefused {
                words: "Connection refused (os error 111)".into(),
                certificate: None,
            },
        ),
        (
            "jd_client_sv2: Attempt 2/3 failed for pool=p:1, jds=j:2: NetworkHelpersError(SocketClosed)",
            LogFact::PoolTryFailed {
                words: "the connection was closed".into(),
                certificate: None,
                code: PoolLeaveCode::ConnectionLost,
            },
        ),
        (
            "jd_client_sv2::channel_manager::downstream_message_handler: SubmitSharesStandard: 💰 Block Found!!! 💰",
            LogFact::Block {
                hash: String::new(),
            },
        ),
        (
            "jd_client_sv2::channel_manager::jd_message_handler: Received: DeclareMiningJobError(request_id: 2, error_code: stale-chain-tip, x)",
            LogFact::JobOutdated,
        ),
        (
            "jd_client_sv2::channel_manager::upstream_message_handler: Received: SetCustomMiningJobError(request_id=2, \
             error_code=stale-chain-tip)",
            LogFact::JobOutdated,
        ),
        (
            "jd_client_sv2: Attempting to initialize Jd and upstream...",
            LogFact::PoolsTried,
        ),
    ] {
        assert_eq!(fact(line), Some(expected), "{line}");
    }
}

#[test]
fn an_error_of_a_try_is_looked_for_behind_the_addresses() {
    let certificate = "NetworkHelpersError(CodecError(NoiseSv2Error(InvalidCertificate(SignatureNoiseMessage { version: 0, valid_from: 5, \
                       not_valid_after: 9 }))))";
    let line = format!(
        "jd_client_sv2: Attempt 1/3 failed for pool=Timeout:1, jds=[::1]:2: JDCError {{ kind: {certificate}, action: Fallback }}"
    );
    let words = "its certificate was rejected".to_owned();
    assert_eq!(
        fact(&line),
        Some(LogFact::PoolTryFailed {
            words,
            certificate: Some(CertificateValidity { from: 5, until: 9 }),
            code: PoolLeaveCode::WrongKey,
        })
    );
    let line = "jd_client_sv2: Attempt 1/3 failed for pool=Timeout:1, jds=h:2: JDCError { kind: Parser(Odd), action: Fallback }";
    assert_eq!(
        fact(line),
        Some(LogFact::PoolTryFailed {
            words: "parser: odd".into(),
            certificate: None,
            code: PoolLeaveCode::ProtocolError,
        })
    );
}

#[test]
fn no_error_is_shown_as_a_structure_of_the_clients_language() {
    let pool = |error: &str| {
        let line = format!("jd_client_sv2: Attempt 1/3 failed for pool=p:1, jds=h:2: {error}");
        match fact(&line) {
            Some(LogFact::PoolTryFailed { words, code, .. }) => (words, code.as_str()),
            other => panic!("{other:?}"),
        }
    };
    for (error, words, code) in [
        (
            "JDCError { kind: NetworkHelpersError(DnsResolutionFailed(\"DNS resolution failed: failed to lookup address information: Name or \
             service not known\")), action: Fallback, _owner: PhantomData<x> }",
            "its name cannot be resolved",
            "unknown-name",
        ),
        (
            "JDCError { kind: UnexpectedMessage(0, 87), action: Fallback }",
            "unexpected message: 0, 87",
            "protocol-error",
        ),
        (
            "NetworkHelpersError(CodecError(AeadError))",
            "network helpers error: codec error: aead error",
            "protocol-error",
        ),
        ("SomethingNew", "something new", "client-error"),
        (
            "JDCError { kind: Io(Os { code: 113, kind: HostUnreachable, message: \"No route to host\" }), action: Fallback }",
            "No route to host",
            "unreachable",
        ),
    ] {
        assert_eq!(pool(error), (words.to_owned(), code), "{error}");
    }
    let node = |error: &str| {
        let line = format!(
            "jd_client_sv2::template_receiver::bitcoin_core: Failed to create BitcoinCoreToSv2: {error}"
        );
        match fact(&line) {
            Some(LogFact::ProviderRefused { words, .. }) => words,
            other => panic!("{other:?}"),
        }
    };
    for (error, words) in [
        (
            "CannotConnectToUnixSocket(\"/b/node.sock\", \"Permission denied (os error 13)\")",
            "Permission denied (os error 13)",
        ),
        (
            "BitcoinCoreSv2Error { version: V31X, protocol: TDP, details: \"CapnpError(Error { kind: Failed, extra: \\\"remote exception: \
             std::exception: out of luck\\\" })\" }",
            "out of luck",
        ),
        (
            "CapnpError(Error { kind: MessageSizeOverflow, extra: \"\" })",
            "message size overflow",
        ),
        (
            "InvalidTemplateHeaderLength",
            "invalid template header length",
        ),
    ] {
        assert_eq!(node(error), words, "{error}");
    }
}

#[test]
fn words_that_are_kept_are_short_and_steer_nothing() {
    assert_eq!(words(b" a\x1b[31m\0b\xff\r\n "), "a[31mb\u{fffd}");
    assert_eq!(words("a\u{202e}b\u{2066}".as_bytes()), "ab");
    assert_eq!(words(&[b'x'; 1_000_000]).len(), 160);
    let line = format!(
        "jd_client_sv2::channel_manager::upstream_message_handler: Received: SubmitSharesError(error_code={})",
        "y".repeat(1_000_000)
    );
    assert_eq!(
        fact(&line),
        Some(LogFact::ShareRejected {
            reason: "y".repeat(80)
        })
    );
}

#[test]
fn the_place_of_a_panic_is_told_without_the_machine_it_was_built_on() {
    for (line, place) in [
        (
            "thread 'main' (2679) panicked at src/main.rs:33:18:",
            "src/main.rs:33:18:",
        ),
        (
            "thread 'x' panicked at /b/.cargo/registry/src/i/tokio-1.40.0/src/time/interval.rs:9:5:",
            "tokio-1.40.0/src/time/interval.rs:9:5:",
        ),
        ("thread '<unnamed>' panicked at ", ":"),
    ] {
        assert_eq!(
            place_of_panic(line.as_bytes()).as_deref(),
            Some(place),
            "{line}"
        );
    }
    assert_eq!(
        place_of_panic(b"thread 'main' has overflowed its stack"),
        None
    );
}

proptest! {
    #[test]
    fn whatever_follows_a_rules_beginning_is_taken_without_panic(
        at in 0..FACTS.len(),
        rest in proptest::collection::vec(any::<u8>(), 0..300),
        keep in 0..200_usize,
    ) {
        // The rule's own example, cut off somewhere, with anything behind.
        let (target, message) = parts(FACTS[at].example);
        let mut message = message[..message.len().min(keep.max(FACTS[at].begins.len()))].to_vec();
        message.extend(rest);
        let said = format!("{:?}", recognise(target, &message));
        prop_assert!(said.chars().count() < 2_000 && !said.contains('\u{1b}'), "{said}");
    }
}
