//! The router's routes, read from its source: what is to be compared with tables that have to be complete.

use std::collections::BTreeSet;

/// Every route: its pattern, and its methods in lower case, sorted, with blanks between.
pub fn of_the_router() -> BTreeSet<(String, String)> {
    let router = include_str!("../../src/router.rs");
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
        for method in ["get", "patch", "put", "post", "delete", "head", "options", "any"] {
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
