//! A source file as the rules see it, read with `syn`. What is compiled for tests only is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::RangeInclusive;
use std::sync::LazyLock;

use proc_macro2::{Spacing, TokenStream, TokenTree};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// The production sources, sorted by name.
pub static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(|| {
    let mut all: Vec<Source> = super::files_below("src")
        .into_iter()
        .filter(|name| name.ends_with(".rs"))
        .map(|name| {
            let text = fs::read_to_string(super::root().join(&name)).unwrap();
            Source::parse(name.strip_prefix("src/").unwrap(), text)
        })
        .collect();
    assert!(all.len() > 40, "the sources are somewhere else");
    let test_modules: Vec<Vec<String>> = all
        .iter()
        .flat_map(|source| source.test_modules.clone())
        .collect();
    all.retain(|source| {
        !test_modules
            .iter()
            .any(|test| source.module.starts_with(test))
    });
    all
});

pub struct Source {
    /// Below `src`, with slashes.
    pub name: String,
    pub text: String,
    /// `domain`, `configs`, `views`, `form` for `domain/configs/views/form.rs`.
    pub module: Vec<String>,
    pub tokens: Vec<Token>,
    pub types: Vec<Type>,
    /// The first of the file, which may be its doc comment, is line 1.
    pub test_lines: BTreeSet<usize>,
    child_modules: BTreeSet<String>,
    test_modules: Vec<Vec<String>>,
    inline_modules: Vec<(RangeInclusive<usize>, String)>,
    /// What a `use` gives a name to; what is ours begins with `crate`.
    pub aliases: BTreeMap<String, Vec<String>>,
    /// Everything of ours that it names, as paths below `src`: `infra`, `db`, `schema`, `events`.
    pub imports: BTreeSet<Vec<String>>,
    /// Everything else that it names by a path: `std`, `fs`, `read`.
    pub foreign: BTreeSet<Vec<String>>,
}

/// A word or a sign. `::` is one sign, as a bracket is.
pub struct Token {
    pub text: String,
    pub line: usize,
}

/// A struct, an enum or a trait.
pub struct Type {
    pub name: String,
    pub line: usize,
}

impl Source {
    pub fn parse(name: &str, text: String) -> Self {
        let stream: TokenStream = text
            .parse()
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let file: syn::File =
            syn::parse2(stream.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
        let mut reader = Reader::default();
        reader.visit_file(&file);
        let is_test = |line: &usize| reader.tests.iter().any(|test| test.contains(line));

        let path = name.strip_suffix(".rs").unwrap();
        let path = path.strip_suffix("/mod").unwrap_or(path);
        let is_root = ["lib", "main"].contains(&path);
        let module: Vec<String> = path
            .split('/')
            .filter(|_| !is_root)
            .map(str::to_owned)
            .collect();

        let mut tokens = Vec::new();
        flatten(stream, &mut tokens);
        tokens.retain(|token| !is_test(&token.line));
        let (test_modules, child_modules): (Vec<_>, Vec<_>) =
            reader.modules.iter().partition(|(_, line)| is_test(line));
        let mut source = Self {
            name: name.to_owned(),
            tokens,
            types: reader
                .types
                .into_iter()
                .filter(|found| !is_test(&found.line))
                .collect(),
            test_lines: (1..=text.lines().count())
                .filter(|line| is_test(line))
                .collect(),
            child_modules: child_modules
                .into_iter()
                .map(|(name, _)| name.clone())
                .collect(),
            test_modules: test_modules
                .into_iter()
                .map(|(name, _)| [module.as_slice(), std::slice::from_ref(name)].concat())
                .collect(),
            inline_modules: reader.inline_modules,
            aliases: BTreeMap::new(),
            imports: BTreeSet::new(),
            foreign: BTreeSet::new(),
            module,
            text,
        };
        source.aliases = source
            .named_paths()
            .into_iter()
            .filter_map(|named| Some((named.alias?, named.path)))
            .collect();
        let (ours, others): (Vec<_>, Vec<_>) = source
            .named_paths()
            .into_iter()
            .map(|named| named.path)
            .partition(|path| path[0] == "crate");
        source.imports = ours.into_iter().map(|path| path[1..].to_vec()).collect();
        source.foreign = others.into_iter().collect();
        source
    }

    /// The folder of `src` that it is in.
    pub fn folder(&self) -> &str {
        self.module.first().map_or("", String::as_str)
    }

    /// What it belongs to in its folder: `configs` for `domain/configs/views/form.rs`.
    pub fn entry(&self) -> &str {
        self.module.get(1).map_or("", String::as_str)
    }

    pub fn file(&self) -> &str {
        self.name.rsplit('/').next().unwrap()
    }

    /// In the part of a domain called so: `views.rs` or anything below `views/`.
    pub fn is_part(&self, part: &str) -> bool {
        self.folder() == "domain" && self.module.iter().skip(2).any(|name| name == part)
    }

    /// Where these words and signs follow each other, as places in `tokens`.
    pub fn positions<'a>(&'a self, wanted: &'a [&'a str]) -> impl Iterator<Item = usize> + 'a {
        let windows = self.tokens.windows(wanted.len()).enumerate();
        windows
            .filter(move |(_, found)| {
                found
                    .iter()
                    .zip(wanted)
                    .all(|(token, wanted)| token.text == *wanted)
            })
            .map(|(at, _)| at)
    }

    /// Everything that it names by a path, those of ours as `crate::infra::db::schema::events`,
    /// however they are written: with `super`, or by a module of this file or something else that a
    /// `use` gave a name. A macro's tokens are looked at like all others.
    fn named_paths(&self) -> Vec<NamedPath> {
        let mut found = Vec::new();
        let mut at = 0;
        while at < self.tokens.len() {
            let before = at.checked_sub(1).map_or("", |at| self.token(at));
            if self.token(at + 1) != "::" || before == "::" || !is_name(self.token(at)) {
                at += 1;
                continue;
            }
            let prefix = match self.token(at) {
                "self" => self.module_at(at),
                "super" => {
                    let mut module = self.module_at(at);
                    module.pop();
                    module
                }
                name => match self.aliases.get(name) {
                    Some(path) => path.clone(),
                    None if self.child_modules.contains(name) => {
                        [self.module_at(at), vec![name.to_owned()]].concat()
                    }
                    None => vec![name.to_owned()],
                },
            };
            at += 2;
            self.read_tree(&mut at, &prefix, before == "use", &mut found);
        }
        found
    }

    fn token(&self, at: usize) -> &str {
        self.tokens.get(at).map_or("", |token| token.text.as_str())
    }

    /// The module that a token is in, `crate` first.
    fn module_at(&self, at: usize) -> Vec<String> {
        let line = self.tokens[at].line;
        let inline = self
            .inline_modules
            .iter()
            .filter(|(lines, _)| lines.contains(&line))
            .map(|(_, name)| name);
        std::iter::once(&"crate".to_owned())
            .chain(&self.module)
            .chain(inline)
            .cloned()
            .collect()
    }

    /// What a path, or the tree of a `use`, names below `prefix`.
    fn read_tree(
        &self,
        at: &mut usize,
        prefix: &[String],
        is_use: bool,
        found: &mut Vec<NamedPath>,
    ) {
        let mut path = prefix.to_vec();
        loop {
            match self.token(*at) {
                "{" if is_use => {
                    *at += 1;
                    while !["}", ""].contains(&self.token(*at)) {
                        self.read_tree(at, &path, is_use, found);
                        *at += usize::from(self.token(*at) == ",");
                    }
                    *at += 1;
                    return;
                }
                "self" => {}
                "super" => drop(path.pop()),
                name if is_name(name) => path.push(name.to_owned()),
                // `*`, or what is no name, as the `<` of a generic argument.
                _ => break,
            }
            *at += 1;
            if self.token(*at) != "::" {
                break;
            }
            *at += 1;
        }
        let mut alias = path.last().cloned();
        if self.token(*at) == "*" {
            (*at, alias) = (*at + 1, None);
        } else if is_use && self.token(*at) == "as" {
            (*at, alias) = (*at + 2, Some(self.token(*at + 1).to_owned()));
        }
        found.push(NamedPath {
            path,
            alias: alias.filter(|_| is_use),
        });
    }
}

struct NamedPath {
    path: Vec<String>,
    alias: Option<String>,
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

fn flatten(stream: TokenStream, tokens: &mut Vec<Token>) {
    let mut colon = false;
    for tree in stream {
        let mut push = |text: String, span: proc_macro2::Span| {
            tokens.push(Token {
                text,
                line: span.start().line,
            });
        };
        let mut is_colon = false;
        match tree {
            TokenTree::Group(group) => {
                let (open, close) = match group.delimiter() {
                    proc_macro2::Delimiter::Parenthesis => ("(", ")"),
                    proc_macro2::Delimiter::Brace => ("{", "}"),
                    proc_macro2::Delimiter::Bracket => ("[", "]"),
                    proc_macro2::Delimiter::None => ("", ""),
                };
                push(open.to_owned(), group.span_open());
                flatten(group.stream(), tokens);
                tokens.push(Token {
                    text: close.to_owned(),
                    line: group.span_close().start().line,
                });
            }
            TokenTree::Punct(punct) if colon && punct.as_char() == ':' => {
                tokens.last_mut().unwrap().text.push(':')
            }
            TokenTree::Punct(punct) => {
                is_colon = punct.as_char() == ':' && punct.spacing() == Spacing::Joint;
                push(punct.as_char().to_string(), punct.span());
            }
            TokenTree::Ident(ident) => push(ident.to_string(), ident.span()),
            TokenTree::Literal(literal) => push(literal.to_string(), literal.span()),
        }
        colon = is_colon;
    }
}

/// Collects what needs a parser: which lines are for tests only, modules and types.
#[derive(Default)]
struct Reader {
    /// The innermost item being visited has an attribute that says so.
    is_test: bool,
    tests: Vec<RangeInclusive<usize>>,
    /// In files of their own.
    modules: Vec<(String, usize)>,
    inline_modules: Vec<(RangeInclusive<usize>, String)>,
    types: Vec<Type>,
}

impl Reader {
    fn in_item(&mut self, node: &impl Spanned, visit: impl FnOnce(&mut Self)) {
        let outer = std::mem::replace(&mut self.is_test, false);
        visit(self);
        if std::mem::replace(&mut self.is_test, outer) {
            self.tests.push(lines(node));
        }
    }

    fn add_type(&mut self, name: &syn::Ident) {
        self.types.push(Type {
            name: name.to_string(),
            line: name.span().start().line,
        });
    }
}

fn lines(node: &impl Spanned) -> RangeInclusive<usize> {
    let span = node.span();
    span.start().line..=span.end().line
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_attribute(&mut self, attribute: &'ast syn::Attribute) {
        self.is_test |= attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|condition| condition == "test");
    }

    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.in_item(item, |reader| visit::visit_item(reader, item));
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        self.in_item(item, |reader| visit::visit_impl_item(reader, item));
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        self.in_item(statement, |reader| visit::visit_stmt(reader, statement));
    }

    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let name = module.ident.to_string();
        match module.content {
            Some(_) => self.inline_modules.push((lines(module), name)),
            None => self.modules.push((name, module.ident.span().start().line)),
        }
        visit::visit_item_mod(self, module);
    }

    fn visit_item_struct(&mut self, item: &'ast syn::ItemStruct) {
        self.add_type(&item.ident);
        visit::visit_item_struct(self, item);
    }

    fn visit_item_enum(&mut self, item: &'ast syn::ItemEnum) {
        self.add_type(&item.ident);
        visit::visit_item_enum(self, item);
    }

    fn visit_item_trait(&mut self, item: &'ast syn::ItemTrait) {
        self.add_type(&item.ident);
        visit::visit_item_trait(self, item);
    }
}

#[test]
fn finds_what_is_imported_and_nothing_in_comments_strings_or_tests() {
    let text = r##"//! crate::no1
use crate::infra::db::{Db, schema::{events as e, self}};
use super::model::{Row, unknown, super::super::keys};
use crate::domain::configs;
use std::{fs, io::{self, Write as _}};
mod views;
/* crate::no2 /* nested */ crate::no3 */
fn f<'a>(x: &'a str) -> char { let _ = ("crate::no4 \" ", r#"crate::no5 "x"#, '"', b'\\'); crate::base::error::Error::new(super::super::ids::A); 'x' }
macro_rules! m { ($x:ty) => { impl $crate::web::View for $x { fn g() { vec![configs::queries::all(), views::row_id(), fs::read()] } } } }
mod inside { fn g() { super::h(); self::i(); } }
struct Made;
#[cfg(test)]
mod tests { use crate::no6; struct Told; fn h() { "}" ; crate::no7::x() } }
impl Made {
    #[cfg(test)]
    fn n() { crate::no8::x() }
    fn o(&self) -> Vec<crate::base::ids::JobId> { self.o() }
}
#[cfg(test)]
mod samples;
"##;
    let source = Source::parse("domain/instances/routes.rs", text.to_owned());
    let imports: Vec<String> = source.imports.iter().map(|path| path.join("::")).collect();
    assert_eq!(
        imports,
        [
            "base::error::Error::new",
            "base::ids::JobId",
            "domain::configs",
            "domain::configs::queries::all",
            "domain::ids::A",
            "domain::instances::model::Row",
            "domain::instances::model::unknown",
            "domain::instances::routes::h",
            "domain::instances::routes::inside::i",
            "domain::instances::routes::views::row_id",
            "domain::keys",
            "infra::db::Db",
            "infra::db::schema",
            "infra::db::schema::events",
            "web::View",
        ]
    );
    let foreign: Vec<String> = source.foreign.iter().map(|path| path.join("::")).collect();
    assert_eq!(
        foreign,
        ["std::fs", "std::fs::read", "std::io", "std::io::Write"]
    );
    assert_eq!(
        source
            .types
            .iter()
            .map(|found| (found.name.as_str(), found.line))
            .collect::<Vec<_>>(),
        [("Made", 11)]
    );
    assert_eq!(
        source.test_modules,
        [["domain", "instances", "routes", "samples"]]
    );
    assert_eq!(
        source.test_lines.iter().copied().collect::<Vec<_>>(),
        [12, 13, 15, 16, 19, 20]
    );
    assert!(source.is_part("routes") && !source.is_part("views"));
}

#[test]
fn reads_the_real_sources() {
    let of = |name: &str| {
        &SOURCES
            .iter()
            .find(|source| source.name == name)
            .unwrap()
            .imports
    };
    let has = |name: &str, path: &str| {
        of(name).contains(&path.split("::").map(str::to_owned).collect::<Vec<_>>())
    };
    assert!(has(
        "domain/instances/queries.rs",
        "infra::db::schema::events"
    ));
    assert!(has(
        "domain/instances/views.rs",
        "domain::instances::model::Instance"
    ));
    assert!(
        has("server/app.rs", "server::router::router")
            || of("server/app.rs")
                .iter()
                .any(|path| path[..2] == ["server", "router"])
    );
    assert!(
        !SOURCES
            .iter()
            .any(|source| source.name == "domain/configs/samples.rs"),
        "a file for tests only"
    );
}
