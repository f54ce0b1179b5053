//! Extracts values from a message: numbers, addresses, and texts that are short and clean enough to
//! be stored and shown. The text also comes from miners and pools, so it is not trusted. This
//! module must not know which message it reads.

use super::{CertificateValidity, PoolLeaveCode};

/// The maximum length of a stored text, in characters.
const KEPT: usize = 160;

/// The maximum length of a code, in characters.
const CODE: usize = 80;

/// The position of a text in another text.
pub(in crate::programs) fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    let first = *part.first()?;
    let mut from = 0;
    while let Some(at) = text.get(from..)?.iter().position(|b| *b == first) {
        if text[from + at..].starts_with(part) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// The text after a mark.
pub(in crate::programs) fn after<'a>(text: &'a [u8], mark: &str) -> Option<&'a [u8]> {
    position(text, mark.as_bytes()).map(|at| &text[at + mark.len()..])
}

/// The text before any of these bytes.
pub(in crate::programs) fn until<'a>(text: &'a [u8], ends: &[u8]) -> &'a [u8] {
    &text[..text
        .iter()
        .position(|b| ends.contains(b))
        .unwrap_or(text.len())]
}

/// The number at the beginning of a text; none if it is too large.
pub(in crate::programs) fn number(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|b| b.is_ascii_digit()).count();
    std::str::from_utf8(&text[..digits]).ok()?.parse().ok()
}

/// The hash of the newest block in `prev_hash: U256(000000000000d0d2…)`, as in block explorers;
/// none if it is not a hash.
pub(in crate::programs) fn block_hash(text: &[u8]) -> Option<String> {
    let hash = until(after(text, "prev_hash: U256(")?, b")");
    let is_hash = hash.len() == 64 && hash.iter().all(u8::is_ascii_hexdigit);
    is_hash.then(|| String::from_utf8_lossy(hash).into_owned())
}

/// The number after a mark.
pub(in crate::programs) fn number_after(text: &[u8], mark: &str) -> Option<u64> {
    number(after(text, mark)?)
}

/// Text to be stored and shown: without control characters or characters that change the writing
/// direction, and with a limited length.
pub(in crate::programs) fn words(text: &[u8]) -> String {
    let is_shown = |c: &char| !c.is_control() && !crate::base::visible::is_hidden(*c, None);
    let text = &text[..text.len().min(KEPT * 8)];
    String::from_utf8_lossy(text)
        .trim()
        .chars()
        .filter(is_shown)
        .take(KEPT)
        .collect()
}

/// The validity of the certificate in an error; none if the error is about something else.
pub(in crate::programs) fn certificate(text: &[u8]) -> Option<CertificateValidity> {
    let text = after(text, "InvalidCertificate")?;
    let seconds = |mark| number_after(text, mark).and_then(|s| i64::try_from(s).ok());
    Some(CertificateValidity {
        from: seconds("valid_from: ")?,
        until: seconds("not_valid_after: ")?,
    })
}

/// The client's name of an error, the same in a few words, and the reason code for leaving a pool.
/// If the words are empty, the error's own text is better.
const KNOWN: &[(&str, &str, PoolLeaveCode)] = &[
    (
        "InvalidCertificate",
        "its certificate was rejected",
        PoolLeaveCode::WrongKey,
    ),
    (
        "DnsResolutionFailed",
        "its name cannot be resolved",
        PoolLeaveCode::UnknownName,
    ),
    (
        "HandshakeTimeout",
        "the handshake timed out",
        PoolLeaveCode::NoAnswer,
    ),
    (
        "InvalidKey",
        "its public key in the configuration is not valid",
        PoolLeaveCode::WrongKey,
    ),
    (
        "ChannelErrorReceiver",
        "the connection was closed",
        PoolLeaveCode::ConnectionLost,
    ),
    (
        "ChannelErrorSender",
        "the connection was closed",
        PoolLeaveCode::ConnectionLost,
    ),
    (
        "SocketClosed",
        "the connection was closed",
        PoolLeaveCode::ConnectionLost,
    ),
    ("Timeout", "no response in time", PoolLeaveCode::NoAnswer),
    (
        "DeclareMiningJobError",
        "a job was rejected",
        PoolLeaveCode::JobRejected,
    ),
    (
        "CustomJobError",
        "a job was rejected",
        PoolLeaveCode::JobRejected,
    ),
    (
        "ExtranonceSizeTooSmall",
        "it grants too few extranonce bytes",
        PoolLeaveCode::ExtranonceTooSmall,
    ),
    (
        "ExtranonceSizeTooLarge",
        "its extranonce is too large",
        PoolLeaveCode::ChannelUnusable,
    ),
    (
        "OpenMiningChannelError",
        "it opened no channel",
        PoolLeaveCode::ChannelRefused,
    ),
    (
        "CloseChannel",
        "it closed the channel",
        PoolLeaveCode::ChannelClosed,
    ),
    (
        "SetupConnectionError",
        "it rejected the connection",
        PoolLeaveCode::SetupRefused,
    ),
    (
        "RequiredExtensionsNotSupported",
        "it does not support a required extension",
        PoolLeaveCode::ExtensionUnsupported,
    ),
    (
        "ServerRequiresUnsupportedExtensions",
        "it requires an extension that the client does not support",
        PoolLeaveCode::ExtensionRequired,
    ),
    (
        "ChangeEndpoint",
        "it moved to another address",
        PoolLeaveCode::EndpointChanged,
    ),
    ("Os {", "", PoolLeaveCode::Unreachable),
    ("UnexpectedMessage", "", PoolLeaveCode::ProtocolError),
    ("Parser", "", PoolLeaveCode::ProtocolError),
    ("FramingSv2", "", PoolLeaveCode::ProtocolError),
    ("BinarySv2", "", PoolLeaveCode::ProtocolError),
    ("Codec", "", PoolLeaveCode::ProtocolError),
    ("HandshakeRemote", "", PoolLeaveCode::ProtocolError),
    ("(os error ", "", PoolLeaveCode::Unreachable),
];

/// An error of the client in a few words, never as a Rust structure, and the reason code for
/// leaving a pool. 0.6.0 writes `JDCError { kind: Io(Os { … message: "…" }), action: …`; older
/// versions write only the kind or a sentence.
pub(in crate::programs) fn leave_reason(text: &[u8]) -> (PoolLeaveCode, String) {
    let known = KNOWN
        .iter()
        .find(|(mark, _, _)| position(text, mark.as_bytes()).is_some());
    let code = known.map_or(PoolLeaveCode::ClientError, |(_, _, code)| *code);
    if let Some((_, known, _)) = known.filter(|(_, words, _)| !words.is_empty()) {
        return (code, (*known).to_owned());
    }
    for quoted in ["message: \"", "error: \""] {
        if let Some(said) = after(text, quoted) {
            return (code, words(until(said, b"\"")));
        }
    }
    let text = after(text, "kind: ").unwrap_or(text);
    let kind = &text[..position(text, b", action: ").unwrap_or(text.len())];
    (code, plain(kind))
}

/// The same without the reason code.
pub(in crate::programs) fn error(text: &[u8]) -> String {
    leave_reason(text).1
}

/// A Rust name as words: `Parser(OddType)` becomes `parser: odd type`. A sentence does not change.
fn plain(text: &[u8]) -> String {
    let said = words(text);
    let name = said
        .find(|c: char| !c.is_ascii_alphanumeric())
        .unwrap_or(said.len());
    let rest = said[name..].trim_start();
    let is_name = said.starts_with(|c: char| c.is_ascii_uppercase())
        && (rest.is_empty() || rest.starts_with(['(', '{', '[']));
    if !is_name {
        return said;
    }
    let mut plain = String::new();
    let mut before = ' ';
    for c in said.chars() {
        match c {
            '(' | '{' | '[' => plain.push_str(": "),
            ')' | '}' | ']' | '"' | '\\' => {}
            c if c.is_ascii_uppercase() => {
                if before.is_ascii_lowercase() {
                    plain.push(' ');
                }
                plain.push(c.to_ascii_lowercase());
            }
            '_' => plain.push(' '),
            c => plain.push(c),
        }
        before = c;
    }
    let plain: Vec<&str> = plain.split_whitespace().collect();
    words(plain.join(" ").trim_end_matches([':', ' ']).as_bytes())
}

/// The meaning of Bitcoin Core errors, by the words in them.
const NODE_ERRORS: &[(&str, &str)] = &[
    ("bad-cb-length", "its chain is too short for a template"),
    (
        "Old mining interface",
        "it is newer than the client expects",
    ),
    (
        "Method not implemented",
        "it is older than the client expects",
    ),
    ("kind: Unimplemented", "it is older than the client expects"),
    ("Disconnected", "it was stopped"),
    ("NullCapability", "it was stopped"),
];

/// Why Bitcoin Core cannot be used: the system's error for the socket, the node's message, or the
/// kind of error. Versions since 0.4.0 write this as a quoted text within a text.
pub(in crate::programs) fn node_error(text: &[u8]) -> String {
    if let Some((_, known)) = NODE_ERRORS
        .iter()
        .find(|(mark, _)| position(text, mark.as_bytes()).is_some())
    {
        return (*known).to_owned();
    }
    let details = after(text, "details: \"").unwrap_or(text);
    for before in ["\\\", \\\"", "\", \"", "extra: \\\"", "extra: \""] {
        if let Some(said) = after(details, before) {
            let said = words(until(said, b"\\\""));
            let said = said.trim_start_matches("remote exception: ");
            let said = said.trim_start_matches("std::exception: ");
            if !said.is_empty() {
                return said.to_owned();
            }
        }
    }
    match after(details, "kind: ") {
        Some(kind) => plain(until(kind, b",")),
        None => plain(until(details, b"\"")),
    }
}

/// The code of a rejection. Some messages write it with a colon, some with an equals sign. Its
/// length is limited, so a sentence with it is short enough to be stored.
pub(in crate::programs) fn code(text: &[u8]) -> Option<String> {
    let code = after(text, "error_code").map(|rest| rest.trim_ascii_start())?;
    let code = words(until(
        code.strip_prefix(b":")
            .or_else(|| code.strip_prefix(b"="))?,
        b",)",
    ));
    (!code.is_empty()).then(|| code.chars().take(CODE).collect())
}

/// The place of a panic, from the text after `panicked at `: the last parts of the path (its
/// beginning is specific to the build machine), line and column. Ends with a colon.
pub(in crate::programs) fn panic_place(text: &[u8]) -> String {
    let path = until(text, b"\n\r");
    let from = path
        .iter()
        .enumerate()
        .rev()
        .filter(|(_, b)| **b == b'/')
        .nth(3)
        .map_or(0, |(at, _)| at + 1);
    let place = words(&path[from..]);
    format!("{}:", place.trim_end_matches([':', ' ']))
}

/// The same from a line that Rust itself prints: `thread 'main' (2679) panicked at
/// src/main.rs:33:18:`.
pub(in crate::programs) fn place_of_panic(line: &[u8]) -> Option<String> {
    after(&line[..line.len().min(super::LOOKED_AT)], " panicked at ").map(panic_place)
}
