//! The texts of the templates. An expression is shown as `…`, alternatives as `[one|other]`.

use std::collections::BTreeMap;
use std::fs;

use crate::architecture::{files_below, root};
use crate::harness::wording::visible_texts;

/// The texts of each template.
pub fn texts() -> BTreeMap<String, Vec<String>> {
    let all: BTreeMap<_, _> = files_below("templates")
        .into_iter()
        .map(|name| {
            let template = fs::read_to_string(root().join(&name)).unwrap();
            let texts = template_texts(&template);
            (name, texts)
        })
        .collect();
    assert!(all.len() > 40, "the templates are somewhere else");
    all
}

fn template_texts(template: &str) -> Vec<String> {
    let mut html = String::new();
    let mut literals = Vec::new();
    let mut rest = template;
    while let Some(at) = rest.find('{') {
        let (before, tag) = rest.split_at(at);
        html.push_str(before);
        let close = match tag.get(..2) {
            Some("{{") => "}}",
            Some("{%") => "%}",
            Some("{#") => "#}",
            _ => {
                html.push('{');
                rest = &tag[1..];
                continue;
            }
        };
        let (code, after) = tag[2..].split_once(close).unwrap();
        let word = code.trim_start_matches('-').split_whitespace().next();
        html.push_str(match (close, word) {
            ("}}", _) => "…",
            ("%}", Some("if" | "match")) => "[",
            ("%}", Some("else" | "elif" | "when")) => "|",
            ("%}", Some("endif" | "endmatch")) => "]",
            _ => "",
        });
        if close != "#}" {
            // What a macro or a filter is called with.
            let quoted = code.split('"').skip(1).step_by(2);
            literals.extend(
                quoted
                    .filter(|text| super::literals::is_text(text))
                    .map(str::to_owned),
            );
        }
        rest = after;
    }
    html.push_str(rest);
    let mut texts = visible_texts(&html, true);
    texts.retain(|text| {
        text.split(['…', '[', '|', ']'])
            .any(|part| part.contains(char::is_alphabetic))
    });
    texts.extend(literals);
    texts
}

#[test]
fn a_template_is_read_as_it_is_seen() {
    let template = "<h1 title=\"Its name\">{{ name }}</h1><p>{{ n }} restart{% if n == 1 %}{% else %}s{% endif %} of \
                    <b>it</b>{# no #}</p>{% call m::row(\"One row\", \"id\") %}{% endcall %}";
    assert_eq!(
        template_texts(template),
        ["Its name", "… restart[|s] of it", "One row"]
    );
}
