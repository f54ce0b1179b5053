//! The router's routes, read from its source: what is to be compared with tables that have to be
//! complete.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// The pattern of the route that a path leads to, if its methods are among those asked for; what
/// stands in the pattern word for word comes first.
pub fn pattern_of(path: &str, method: &str) -> Option<String> {
    static ALL: LazyLock<BTreeSet<(String, String)>> = LazyLock::new(of_the_router);
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
pub fn of_the_router() -> BTreeSet<(String, String)> {
    let router = include_str!("../../src/server/router.rs");
    let mut found = BTreeSet::new();
    for route in router.split(".route(").skip(1) {
        let (_, rest) = route.split_once('"').unwrap();
        let (path, rest) = rest.split_once('"').unwrap();
        // The methods are the calls up to the end of this route's parentheses.
        let mut depth = 1;
        let end = rest.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '(') - i32::from(*c == ')');
            depth == 0
        });
        let call = &rest[..end.unwrap().0];
        let mut methods: Vec<&str> = Vec::new();
        for method in [
            "get", "patch", "put", "post", "delete", "head", "options", "any",
        ] {
            if call
                .split(|c: char| !c.is_alphanumeric() && c != '(' && c != '_')
                .any(|word| word.starts_with(&format!("{method}(")))
            {
                methods.push(method);
            }
        }
        assert!(!methods.is_empty(), "{path}: {call}");
        methods.sort_unstable();
        found.insert((path.to_owned(), methods.join(" ")));
    }
    assert!(found.len() > 50, "the routes are somewhere else");
    found
}
