//! Reads from a client's log how the node behind its socket replied.
//!
//! The lines are from jd_client_sv2 0.6.0 with a real node; they are in tests/data.

/// A reply of the node, found in a log line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeReply {
    /// The node accepted the client. A template may follow.
    Accepted,
    /// A template arrived; with the block's compact target if the line has it.
    Template(Option<u32>),
    /// The node has a newer interface than requested.
    NewerInterface,
    /// The node has an older interface than requested.
    OlderInterface,
    /// The client could not use the node for another reason, in the client's words.
    Failure(String),
}

const FAILED: &str = "Failed to create BitcoinCoreToSv2";
const TIP: &str = "Received: SetNewPrevHash";
const TARGET: &str = "n_bits: 0x";

/// The node's reply in a line, if there is one.
pub fn read(line: &str) -> Option<NodeReply> {
    if line.contains(TIP) {
        let digits = line.split_once(TARGET).map(|(_, rest)| rest);
        let digits = digits.and_then(|rest| rest.split(|c: char| !c.is_ascii_hexdigit()).next());
        let n_bits = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        return Some(NodeReply::Template(n_bits));
    }
    if line.contains("IPC mining client successfully created") {
        return Some(NodeReply::Accepted);
    }
    // For clients that do not log received messages.
    if line.contains("Required template data received") {
        return Some(NodeReply::Template(None));
    }
    let (_, reason) = line.split_once(FAILED)?;
    if reason.contains("Old mining interface") {
        return Some(NodeReply::NewerInterface);
    }
    if reason.contains("Unimplemented") || reason.contains("ethod not implemented") {
        return Some(NodeReply::OlderInterface);
    }
    let reason = reason
        .split_once("details: ")
        .map_or(reason, |(_, details)| details);
    let reason: String = reason
        .trim_start_matches([':', ' '])
        .chars()
        .take(300)
        .collect();
    Some(NodeReply::Failure(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(name: &str) -> Vec<NodeReply> {
        let path = format!("{}/tests/data/{name}.log", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).unwrap();
        text.lines().filter_map(read).collect()
    }

    #[test]
    fn real_logs_tell_what_is_wrong_with_the_node() {
        assert_eq!(
            log("core-ipc/ipc_version_30_on_node_31"),
            [NodeReply::NewerInterface]
        );
        assert_eq!(
            log("core-ipc/ipc_node_in_ibd_then_synced"),
            [
                NodeReply::Accepted,
                NodeReply::Template(Some(0x207f_ffff)),
                NodeReply::Template(None)
            ]
        );
        assert_eq!(
            log("core-ipc/ipc_node_at_genesis_ibd"),
            [NodeReply::Accepted]
        );
        let missing = log("jd-client/ipc_socket_missing");
        assert!(
            matches!(&missing[..], [NodeReply::Failure(why)] if why.contains("CannotConnectToUnixSocket")),
            "{missing:?}"
        );
    }

    /// The first is what the client says of a stand-in that answers as a node without the method
    /// does; no node of version 30 was tried.
    #[test]
    fn a_method_that_the_node_lacks_is_an_older_interface() {
        for reason in [
            "CapnpError(Error { kind: Unimplemented, extra: \\\"remote exception: Method not implemented.\\\" })",
            "CapnpError(Error { kind: Failed, extra: \\\"Method not implemented\\\" })",
        ] {
            let line = format!(
                "ERROR jd_client_sv2::template_receiver::bitcoin_core: {FAILED}: BitcoinCoreSv2Error {{ version: V31X, protocol: TDP, details: \"{reason}\" }}"
            );
            assert_eq!(read(&line), Some(NodeReply::OlderInterface));
        }
    }

    #[test]
    fn any_text_is_read_without_a_panic() {
        for line in [
            "",
            "n_bits: 0x",
            "Received: SetNewPrevHash { n_bits: 0xfffffffffffff }",
            "Received: SetNewPrevHash n_bits: 0xé",
            "Failed to create BitcoinCoreToSv2",
        ] {
            let _ = read(line);
        }
        let long = format!("Failed to create BitcoinCoreToSv2: {}", "é".repeat(9000));
        assert!(matches!(read(&long), Some(NodeReply::Failure(why)) if why.chars().count() == 300));
    }
}
