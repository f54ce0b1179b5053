//! The router's routes, for tests with tables that have to be complete.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

/// The pattern of the route that a path leads to, if its methods are among those asked for; what
/// stands in the pattern word for word comes first.
pub fn pattern_of(path: &str, method: &str) -> Option<String> {
    static ALL: LazyLock<BTreeSet<(String, String)>> = LazyLock::new(all);
    let path = path.split('?').next().unwrap();
    let fits = |pattern: &str| {
        pattern.split('/').count() == path.split('/').count()
            && pattern
                .split('/')
                .zip(path.split('/'))
                .all(|(wanted, is)| wanted.starts_with('{') || wanted == is)
    };
    let fitting = ALL
        .iter()
        .filter(|(pattern, methods)| fits(pattern) && methods.split(' ').any(|one| one == method));
    fitting
        .min_by_key(|(pattern, _)| pattern.matches('{').count())
        .map(|(pattern, _)| pattern.clone())
}

/// Every route: its pattern, and its methods in lower case, sorted, with blanks between.
pub fn all() -> BTreeSet<(String, String)> {
    let mut found: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for operation in jd_manager::server::route_table::operations() {
        let methods = found.entry(operation.path).or_default();
        methods.insert(operation.method);
    }
    // A file of the pages, and another address of the list: no operations.
    found.insert("/static/{name}", BTreeSet::from(["get"]));
    found.insert("/api/", BTreeSet::from(["get"]));
    let line = |(path, methods): (&str, BTreeSet<&str>)| {
        let methods: Vec<&str> = methods.into_iter().collect();
        (path.to_owned(), methods.join(" "))
    };
    found.into_iter().map(line).collect()
}
