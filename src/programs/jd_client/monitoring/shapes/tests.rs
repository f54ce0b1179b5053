//! Tests valid bodies of several client versions, and invalid bodies.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

const SERVER: &str = r#"{"channel_id":7,"user_identity":"acct.worker","nominal_hashrate":3.5e14,"target_hex":"00ff",
    "version_rolling":true,"shares_acknowledged":1234,"shares_submitted":1240,"shares_rejected":3,
    "shares_rejected_by_reason":{"stale-share":2,"invalid-share":1},"acknowledged_work_sum":123456789,
    "validated_work_sum":123456999.25,"best_diff":12345678.5,"blocks_found":1}"#;

fn server_channel() -> UpstreamChannelReading {
    UpstreamChannelReading {
        channel_id: 7,
        user_identity: "acct.worker".into(),
        nominal_hashrate: Some(3.5e14),
        shares_acknowledged: Some(1234),
        shares_submitted: Some(1240),
        shares_rejected: Some(3),
        rejected_by_reason: BTreeMap::from([
            ("stale-share".into(), 2),
            ("invalid-share".into(), 1),
        ]),
        acknowledged_work: Some(123_456_789.0),
        validated_work: Some(123_456_999.25),
        best_difficulty: Some(12_345_678.5),
        blocks_found: Some(1),
    }
}

fn page<T: ListItem>(extended: &str) -> ApiListPage<T> {
    ApiListPage::of(
        format!(r#"{{"total_extended":1,"extended_channels":[{extended}]}}"#).as_bytes(),
    )
    .unwrap()
}

/// The one channel of a page, and what was odd.
fn channel(member: &str) -> (UpstreamChannelReading, u32) {
    let mut page = page::<UpstreamChannelReading>(&format!(r#"{{"channel_id":1,{member}}}"#));
    (page.entries.pop().unwrap(), page.odd)
}

fn number(text: &str) -> (Option<f64>, u32) {
    let (channel, odd) = channel(&format!(r#""best_diff":{text}"#));
    (channel.best_difficulty, odd)
}

fn count(text: &str) -> (Option<u64>, u32) {
    let (channel, odd) = channel(&format!(r#""blocks_found":{text}"#));
    (channel.blocks_found, odd)
}

#[test]
fn a_channel_has_all_its_figures() {
    let page = page::<UpstreamChannelReading>(SERVER);
    assert_eq!(
        (page.entries, page.odd, page.total, page.length),
        (vec![server_channel()], 0, Some(1), 1)
    );
}

#[test]
fn extended_and_standard_channels_are_one_list() {
    let body = r#"{"total_extended":3,"total_standard":120,"extended_channels":[{"channel_id":1}],
        "standard_channels":[{"channel_id":2,"shares_accepted":5},{"channel_id":3}]}"#;
    let page = ApiListPage::<MinerChannelReading>::of(body.as_bytes()).unwrap();
    assert_eq!(
        page.entries
            .iter()
            .map(|channel| channel.channel_id)
            .collect::<Vec<_>>(),
        [1, 2, 3]
    );
    assert_eq!(
        (page.entries[1].shares_accepted, page.length, page.total),
        (Some(5), 2, Some(120))
    );
}

#[test]
fn the_names_of_older_clients_are_known() {
    let (oldest, odd) = channel(r#""shares_accepted":9,"share_work_sum":77.5"#);
    assert_eq!(
        (
            oldest.shares_acknowledged,
            oldest.acknowledged_work,
            oldest.validated_work,
            odd
        ),
        (Some(9), Some(77.5), None, 0)
    );
    let both = r#""shares_accepted":9,"shares_acknowledged":8,"share_work_sum":1,"acknowledged_work_sum":2"#;
    let (both, _) = channel(both);
    assert_eq!(
        (both.shares_acknowledged, both.acknowledged_work),
        (Some(8), Some(2.0)),
        "the newer name counts"
    );
}

#[test]
fn numbers_that_make_no_sense_are_left_out_and_counted() {
    assert_eq!(number("0.1"), (Some(0.1), 0));
    assert_eq!(number("12"), (Some(12.0), 0));
    assert_eq!(number("1e299"), (Some(1e299), 0));
    assert_eq!(number("null"), (None, 0));
    for odd in [
        "1e300", "1e308", "1e999", "-1e999", "-0.1", "\"NaN\"", "\"5\"", "true", "[]", "{}", "[1]",
    ] {
        assert_eq!(number(odd), (None, 1), "{odd}");
    }
    assert_eq!(count("18446744073709551615"), (Some(u64::MAX), 0));
    for odd in [
        "-1",
        "-0.0",
        "1.5",
        "1e3",
        "18446744073709551616",
        "1e999",
        "\"5\"",
        "false",
        "{\"a\":[]}",
    ] {
        assert_eq!(count(odd), (None, 1), "{odd}");
    }
}

#[test]
fn the_sum_of_nothing_has_no_sign() {
    let (zero, odd) = number("-0.0");
    assert_eq!((zero.map(f64::to_bits), odd), (Some(0), 0));
    assert_eq!(number("-0").0.map(f64::to_bits), Some(0));
}

#[test]
fn an_entry_without_a_usable_id_is_left_out() {
    let without = r#"{"user_identity":"a"}, {"channel_id":-1}, {"channel_id":4294967296}, {"channel_id":"7"}, 5, null, [],
        {"channel_id":9}"#;
    let page = page::<UpstreamChannelReading>(without);
    assert_eq!(
        (
            page.entries.len(),
            page.entries[0].channel_id,
            page.odd,
            page.length
        ),
        (1, 9, 7, 8)
    );
}

#[test]
fn names_are_cut_and_hold_nothing_that_cannot_be_shown() {
    let (channel, odd) = channel(&format!(
        r#""user_identity":"a\u0000b\n\u001b[31m\u007f\u0085{}""#,
        "ü".repeat(500)
    ));
    assert_eq!(
        (channel.user_identity, odd),
        (format!("ab[31m{}", "ü".repeat(122)), 0)
    );
    let (channel, odd) = self::channel(r#""user_identity":"\ud800""#);
    assert_eq!((channel.user_identity.as_str(), odd), ("", 1));
}

#[test]
fn reasons_are_few_and_short() {
    let many: Vec<String> = (0..40).map(|i| format!(r#""reason-{i}":{i}"#)).collect();
    let (channel, odd) = channel(&format!(
        r#""shares_rejected_by_reason":{{{}}}"#,
        many.join(",")
    ));
    assert_eq!((channel.rejected_by_reason.len(), odd), (32, 8));
    let long = "r".repeat(100);
    let mixed = format!(
        r#""shares_rejected_by_reason":{{"{long}":1,"bad":"many","none":null,"minus":-4,"a\tb":2}}"#
    );
    let (channel, odd) = self::channel(&mixed);
    assert_eq!(
        (channel.rejected_by_reason, odd),
        (BTreeMap::from([("r".repeat(64), 1), ("ab".into(), 2)]), 2)
    );
    let (channel, odd) = self::channel(r#""shares_rejected_by_reason":[1,2]"#);
    assert_eq!((channel.rejected_by_reason.len(), odd), (0, 1));
}

#[test]
fn of_two_members_with_one_name_the_first_counts() {
    assert_eq!(
        channel(r#""blocks_found":1,"blocks_found":"two""#)
            .0
            .blocks_found,
        Some(1)
    );
    assert_eq!(
        channel(r#""blo\u0063ks_found":1"#).0.blocks_found,
        Some(1),
        "escapes in a name"
    );
}

#[test]
fn nesting_of_any_depth_is_survived() {
    let deep = format!("{}{}", "[".repeat(500_000), "]".repeat(500_000));
    let objects = format!("{}1{}", r#"{"a":"#.repeat(200_000), "}".repeat(200_000));
    for deep in [&deep, &objects] {
        assert_eq!(number(deep), (None, 1));
        assert_eq!(channel(&format!(r#""unknown":{deep}"#)).1, 0);
        assert_eq!(page::<UpstreamChannelReading>(deep).odd, 1);
        let unclosed = format!(r#"{{"a":{}"#, &deep[..deep.len() / 2]);
        assert_eq!(
            RawObject::of(unclosed.as_bytes()).unwrap_err(),
            ShapeError::NotJson
        );
    }
}

#[test]
fn objects_and_lists_without_end_are_read_to_their_limit() {
    let members = format!(r#"{{{}"channel_id":1}}"#, r#""a":1,"#.repeat(MAX_MEMBERS));
    assert_eq!(
        page::<UpstreamChannelReading>(&members).entries.len(),
        0,
        "the id comes too late"
    );
    let entries: Vec<String> = (0..MAX_ENTRIES + 5)
        .map(|i| format!(r#"{{"channel_id":{i}}}"#))
        .collect();
    assert_eq!(
        page::<UpstreamChannelReading>(&entries.join(","))
            .entries
            .len(),
        MAX_ENTRIES
    );
}

#[test]
fn other_bodies_are_told_apart() {
    for text in [
        "",
        " ",
        "<!DOCTYPE html><html>",
        "{",
        r#"{"a":1"#,
        r#"{"a":NaN}"#,
        r#"{"a":1} x"#,
        "NaN",
        "{'a':1}",
    ] {
        assert_eq!(
            RawObject::of(text.as_bytes()).unwrap_err(),
            ShapeError::NotJson,
            "{text}"
        );
    }
    for text in ["[]", "\"text\"", "5", "true", "null"] {
        assert_eq!(
            RawObject::of(text.as_bytes()).unwrap_err(),
            ShapeError::NoObject,
            "{text}"
        );
    }
    assert_eq!(
        RawObject::of(b"{\"a\":\"\xff\"}").unwrap_err(),
        ShapeError::NotJson
    );
}

#[test]
fn a_connection_without_channels_needs_no_request() {
    let body = r#"{"total":4,"items":[{"client_id":1,"extended_channels_count":0,"standard_channels_count":0},{"client_id":2},
        {"client_id":3,"extended_channels_count":0,"standard_channels_count":1},{"client_id":18446744073709551615}]}"#;
    let page = ApiListPage::<MinerEntry>::of(body.as_bytes()).unwrap();
    let listed: Vec<_> = page
        .entries
        .iter()
        .map(|listed| (listed.client_id, listed.has_channels))
        .collect();
    assert_eq!(
        (listed, page.total),
        (
            vec![(1, false), (2, true), (3, true), (u64::MAX, true)],
            Some(4)
        )
    );
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inner), 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn one_odd_member_costs_that_member_only(odd in any_json(), at in 1_usize..20) {
        let mut body: Value = serde_json::from_str(SERVER).unwrap();
        let names: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
        let name = &names[at % names.len()];
        prop_assume!(name != "channel_id");
        body[name] = odd;
        let page = page::<UpstreamChannelReading>(&body.to_string());
        let (read, whole) = (&page.entries[0], server_channel());
        let figures = |c: &UpstreamChannelReading| {
            let works = [c.nominal_hashrate, c.acknowledged_work, c.validated_work, c.best_difficulty];
            let counts = [c.shares_acknowledged, c.shares_submitted, c.shares_rejected, c.blocks_found];
            let mut all: Vec<String> = works.iter().map(|n| format!("{n:?}")).collect();
            all.extend(counts.iter().map(|n| format!("{n:?}")));
            all.extend([c.user_identity.clone(), format!("{:?}", c.rejected_by_reason)]);
            all
        };
        let differing = figures(read).iter().zip(figures(&whole)).filter(|(a, b)| *a != b).count();
        prop_assert!(differing <= 1, "{name}: {read:?}");
        let works = [read.nominal_hashrate, read.acknowledged_work, read.validated_work, read.best_difficulty];
        prop_assert!(works.iter().flatten().all(|n| n.is_finite() && n.is_sign_positive()));
    }

    #[test]
    fn any_text_at_all_is_read_or_refused(body in prop_oneof![any_json().prop_map(|json| json.to_string()), ".{0,200}"]) {
        let whole = serde_json::from_str::<Value>(&body);
        match RawObject::of(body.as_bytes()) {
            Ok(_) => prop_assert!(whole.is_ok_and(|json| json.is_object())),
            Err(_) => prop_assert!(!whole.is_ok_and(|json| json.is_object())),
        }
        let _ = ApiListPage::<UpstreamChannelReading>::of(body.as_bytes());
        let _ = ApiListPage::<MinerEntry>::of(json!({ "items": body }).to_string().as_bytes());
    }
}
