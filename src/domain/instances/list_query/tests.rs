//! Order, parts and addresses of lists.

use super::super::list_extras::HealthSummary;
use super::*;
use crate::base::clock::Timestamp;

fn named(name: &str, status: InstanceState) -> Instance {
    Instance {
        name: name.into(),
        ..Instance::sample(status)
    }
}

fn health(status: &'static str, score: u32) -> Option<HealthSummary> {
    Some(HealthSummary {
        status,
        score,
        place: String::new(),
        place_since: None,
        trouble: None,
        checks: Vec::new(),
    })
}

/// Oldest first, with ties and missing values.
fn farm() -> Vec<Instance> {
    use InstanceState::{Failed, Running, Stopped};
    let mut farm = vec![
        named("rig10", Running),
        named("Rig2", Running),
        named("barn", Stopped),
        named("attic", Failed),
    ];
    farm[0].hashrate = Some(2e12);
    farm[1].hashrate = Some(2e12);
    farm[3].hashrate = Some(0.0);
    for (at, count) in [Some(5), Some(70), None, Some(5)].into_iter().enumerate() {
        farm[at].shares_accepted_24h = count;
        farm[at].miner_count = count.map(|count| 100 - count);
    }
    farm[0].health = health("healthy", 100);
    farm[1].health = health("unhealthy", 10);
    farm[2].health = health("warning", 60);
    farm[0].running_version = Some("0.10.0".into());
    farm[1].running_version = Some("0.6.0".into());
    for (at, instance) in farm.iter_mut().enumerate() {
        instance.created_at = Timestamp(i64::try_from(at).unwrap());
    }
    farm
}

fn order(sort: &str, is_page: bool) -> Vec<String> {
    let query = ListQuery {
        sort: (!sort.is_empty()).then(|| ListSort::parse(sort).unwrap()),
        ..ListQuery::WHOLE
    };
    let found = query.select(farm(), &PoolTexts::new(), is_page);
    found.into_iter().map(|instance| instance.name).collect()
}

#[test]
fn every_value_sorts_in_both_directions_and_names_decide_between_equal_ones() {
    for (sort, wanted) in [
        ("name", ["attic", "barn", "Rig2", "rig10"]),
        ("-name", ["rig10", "Rig2", "barn", "attic"]),
        ("state", ["attic", "Rig2", "rig10", "barn"]),
        ("-state", ["barn", "Rig2", "rig10", "attic"]),
        ("health", ["Rig2", "barn", "attic", "rig10"]),
        ("-health", ["rig10", "attic", "barn", "Rig2"]),
        ("hashrate", ["attic", "Rig2", "rig10", "barn"]),
        ("-hashrate", ["Rig2", "rig10", "attic", "barn"]),
        ("shares", ["attic", "rig10", "Rig2", "barn"]),
        ("-shares", ["Rig2", "attic", "rig10", "barn"]),
        ("miners", ["Rig2", "attic", "rig10", "barn"]),
        ("-miners", ["attic", "rig10", "Rig2", "barn"]),
        ("version", ["Rig2", "rig10", "attic", "barn"]),
        ("-version", ["rig10", "Rig2", "attic", "barn"]),
        ("created_at", ["rig10", "Rig2", "barn", "attic"]),
        ("-created_at", ["attic", "barn", "Rig2", "rig10"]),
    ] {
        assert_eq!(order(sort, true), wanted, "{sort}");
        assert_eq!(order(sort, false), wanted, "{sort}");
    }
    assert_eq!(order("", false), ["rig10", "Rig2", "barn", "attic"]);
    // Failed, and running but unhealthy.
    assert_eq!(order("", true), ["attic", "Rig2", "barn", "rig10"]);
    for bad in ["", "-", "--name", "size", "name-", "NAME"] {
        assert_eq!(ListSort::parse(bad), None, "{bad}");
    }
}

#[test]
fn numbers_in_names_are_compared_by_value() {
    for pair in [
        ["a", "B"],
        ["rig2", "rig10"],
        ["rig02", "rig3"],
        ["rig", "rig1"],
        ["rig9x", "rig10a"],
        ["", "a"],
        ["2", "a"],
        ["Ärmel", "ärmel2"],
        ["99999999999999999999", "100000000000000000000"],
    ] {
        assert_eq!(natural_order(pair[0], pair[1]), Ordering::Less, "{pair:?}");
        assert_eq!(
            natural_order(pair[1], pair[0]),
            Ordering::Greater,
            "{pair:?}"
        );
    }
    assert_eq!(natural_order("rig01", "rig01"), Ordering::Equal);
    assert_ne!(natural_order("rig01", "rig1"), Ordering::Equal);
}

#[test]
fn a_part_beyond_the_end_is_empty() {
    let all = [1, 2, 3];
    for (limit, offset, wanted) in [
        (2, 0, &[1, 2][..]),
        (2, 2, &[3]),
        (0, 1, &[]),
        (5, 3, &[]),
        (5, u64::MAX, &[]),
        (u64::MAX, 1, &[2, 3]),
    ] {
        let query = ListQuery {
            limit,
            offset,
            ..ListQuery::WHOLE
        };
        assert_eq!(query.part_of(&all), wanted);
    }
    assert_eq!(ListQuery::WHOLE.part_of(&all), all);
}

#[test]
fn addresses_repeat_the_parameters() {
    let plain = ListQuery {
        limit: PAGE_LIMIT,
        ..ListQuery::WHOLE
    };
    assert_eq!(plain.address(), "/instances");
    let filter = InstanceFilter {
        search: "a&b".into(),
        states: vec![InstanceState::Failed],
        ..InstanceFilter::default()
    };
    let query = ListQuery {
        columns: vec![ListColumn::Port, ListColumn::Health],
        ..plain.at(200).with_filter(filter).sorted_by(SortKey::Shares)
    };
    let address = "/instances?q=a%26b&state=failed&sort=-shares&columns=port&columns=health";
    assert_eq!(query.address(), address);
    let grouped = ListQuery {
        group: Some(GroupKey::Tag),
        ..plain.clone()
    };
    assert_eq!(grouped.address(), "/instances?group=tag");
    assert_eq!(query.at(100).address(), format!("{address}&offset=100"));
    assert_eq!(query.direction(SortKey::Shares), Some("descending"));
    assert_eq!(query.direction(SortKey::Name), None);
    let again = query.sorted_by(SortKey::Shares);
    assert_eq!(again.direction(SortKey::Shares), Some("ascending"));
    assert_eq!(
        plain.sorted_by(SortKey::Name).sort.unwrap().to_string(),
        "name"
    );
    assert_eq!(ListQuery::columns_of(address), query.columns);
    assert!(ListQuery::columns_of("/instances?columns=x").is_empty());
    assert_eq!(
        ListQuery::shown_columns(&query.columns),
        [ListColumn::Health, ListColumn::Port]
    );
    assert_eq!(ListQuery::shown_columns(&[]).len(), 10);
}
