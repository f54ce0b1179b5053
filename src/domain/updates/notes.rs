//! Release notes as HTML. The Markdown is not trusted: only the elements listed here reach a page.
//! Raw HTML is shown as text, an image as its description, and a link is text unless it leads to
//! `http` or `https`. Pure.

use pulldown_cmark::{BlockQuoteKind, Event, HeadingLevel, Options, Parser, Tag, TextMergeStream};
use std::fmt;

/// Maximum size of rendered notes, bytes. Stored notes are shorter.
const LONGEST: usize = 64 * 1024;
/// Maximum size of the HTML, bytes. A table can be much longer than its Markdown.
const LONGEST_HTML: usize = 256 * 1024;
/// Maximum nesting; deeper elements are dropped and their text is kept.
const DEEPEST: usize = 16;
/// A longer address is not a link, bytes.
const LONGEST_ADDRESS: usize = 2048;

/// Notes for a page. All text in them is escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseNotes(String);

impl fmt::Display for ReleaseNotes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl askama::filters::HtmlSafe for ReleaseNotes {}

impl ReleaseNotes {
    /// Renders Markdown as GitHub does, with headings below those of a page.
    pub fn render(markdown: &str) -> Self {
        let end = (0..=LONGEST.min(markdown.len()))
            .rev()
            .find(|at| markdown.is_char_boundary(*at))
            .unwrap_or(0);
        let (text, rest) = markdown.split_at(end);
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_TASKLISTS
            | Options::ENABLE_GFM;
        let mut writer = NotesWriter {
            is_cut: !rest.is_empty(),
            ..NotesWriter::default()
        };
        for event in TextMergeStream::new(Parser::new_ext(text, options)) {
            if writer.html.len() > LONGEST_HTML {
                writer.is_cut = true;
                break;
            }
            writer.write(event);
        }
        Self(writer.finish())
    }
}

#[derive(Debug, Default)]
struct NotesWriter {
    html: String,
    /// The closing tags of the open elements; empty for a dropped one.
    ends: Vec<&'static str>,
    /// Depths at which a link, a code block and a table head began.
    link: Option<usize>,
    code: Option<usize>,
    head: Option<usize>,
    /// The depth and the text so far of a block of raw HTML.
    raw: Option<(usize, String)>,
    is_cut: bool,
}

impl NotesWriter {
    fn write(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.begin(tag),
            Event::End(_) => self.end(),
            Event::Text(text) => {
                if self.link.is_some() || self.code.is_some() {
                    self.push_text(&text);
                } else {
                    self.push_with_links(&text);
                }
            }
            Event::Code(text) | Event::InlineMath(text) | Event::DisplayMath(text) => {
                self.html.push_str("<code>");
                self.push_text(&text);
                self.html.push_str("</code>");
            }
            Event::Html(text) | Event::InlineHtml(text) => self.push_raw(&text),
            Event::FootnoteReference(text) => self.push_text(&text),
            // GitHub keeps the line breaks of release notes.
            Event::SoftBreak | Event::HardBreak => self.html.push_str("<br>\n"),
            Event::Rule => self.html.push_str("<hr>\n"),
            Event::TaskListMarker(is_done) => {
                self.html.push_str(if is_done { "☑ " } else { "☐ " });
            }
        }
    }

    fn begin(&mut self, tag: Tag<'_>) {
        let depth = self.ends.len();
        let (begin, end) = match tag {
            _ if depth >= DEEPEST => ("", ""),
            Tag::Paragraph => ("<p>", "</p>\n"),
            // The titles of a page and its parts are above these.
            Tag::Heading { level, .. } => match level {
                HeadingLevel::H1 | HeadingLevel::H2 => ("<h3>", "</h3>\n"),
                HeadingLevel::H3 => ("<h4>", "</h4>\n"),
                HeadingLevel::H4 => ("<h5>", "</h5>\n"),
                HeadingLevel::H5 | HeadingLevel::H6 => ("<h6>", "</h6>\n"),
            },
            Tag::BlockQuote(kind) => {
                self.html.push_str("<blockquote>");
                (kind.map_or("", alert_title), "</blockquote>\n")
            }
            Tag::CodeBlock(_) => {
                self.code = self.code.or(Some(depth));
                ("<pre><code>", "</code></pre>\n")
            }
            Tag::HtmlBlock => {
                self.raw = Some((depth, String::new()));
                ("", "")
            }
            Tag::List(None) => ("<ul>\n", "</ul>\n"),
            Tag::List(Some(first)) => {
                self.html.push_str(&format!("<ol start=\"{first}\">\n"));
                ("", "</ol>\n")
            }
            Tag::Item => ("<li>", "</li>\n"),
            Tag::Table(_) => ("<table>\n", "</table>\n"),
            Tag::TableHead => {
                self.head = Some(depth);
                ("<tr>", "</tr>\n")
            }
            Tag::TableRow => ("<tr>", "</tr>\n"),
            Tag::TableCell if self.head.is_some() => ("<th>", "</th>"),
            Tag::TableCell => ("<td>", "</td>"),
            Tag::Emphasis => ("<em>", "</em>"),
            Tag::Strong => ("<strong>", "</strong>"),
            Tag::Strikethrough => ("<del>", "</del>"),
            Tag::Link { dest_url, .. } => match address(&dest_url) {
                Some(address) if self.link.is_none() => {
                    self.link = Some(depth);
                    self.open_link(&address);
                    ("", "</a>")
                }
                _ => ("", ""),
            },
            Tag::Image { .. } => ("[Image: ", "]"),
            // Not enabled above.
            Tag::FootnoteDefinition(_)
            | Tag::DefinitionList
            | Tag::DefinitionListTitle
            | Tag::DefinitionListDefinition
            | Tag::Superscript
            | Tag::Subscript
            | Tag::MetadataBlock(_) => ("", ""),
        };
        self.html.push_str(begin);
        self.ends.push(end);
    }

    fn end(&mut self) {
        let Some(end) = self.ends.pop() else { return };
        self.html.push_str(end);
        let depth = self.ends.len();
        for begun in [&mut self.link, &mut self.code, &mut self.head] {
            if *begun == Some(depth) {
                *begun = None;
            }
        }
        if let Some((_, raw)) = self.raw.take_if(|(at, _)| *at == depth) {
            self.push_raw_block(&raw);
        }
    }

    /// Inline raw HTML: a line break is kept, a comment is dropped, everything else is shown as
    /// text.
    fn push_raw(&mut self, text: &str) {
        if let Some((_, raw)) = &mut self.raw {
            raw.push_str(text);
        } else if ["<br>", "<br/>", "<br />"].contains(&text) {
            self.html.push_str("<br>\n");
        } else if !text.starts_with("<!--") {
            self.push_text(text);
        }
    }

    fn push_raw_block(&mut self, raw: &str) {
        let mut shown = String::new();
        let mut rest = raw;
        // GitHub writes a comment above generated notes.
        while let Some((before, comment)) = rest.split_once("<!--") {
            shown.push_str(before);
            rest = comment.split_once("-->").map_or("", |(_, after)| after);
        }
        shown.push_str(rest);
        let shown = shown.trim();
        if !shown.is_empty() {
            self.html.push_str("<p class=\"lines\">");
            self.push_text(shown);
            self.html.push_str("</p>\n");
        }
    }

    /// Text in which addresses become links, as GitHub does.
    fn push_with_links(&mut self, text: &str) {
        for piece in text.split_inclusive(char::is_whitespace) {
            let link = link_in(piece)
                .and_then(|(before, shown, after)| Some((before, shown, address(shown)?, after)));
            match link {
                Some((before, shown, address, after)) => {
                    self.push_text(before);
                    self.open_link(&address);
                    self.push_text(shown);
                    self.html.push_str("</a>");
                    self.push_text(after);
                }
                None => self.push_text(piece),
            }
        }
    }

    fn open_link(&mut self, address: &str) {
        self.html.push_str("<a href=\"");
        self.push_text(address);
        self.html
            .push_str("\" rel=\"noopener nofollow noreferrer\">");
    }

    fn push_text(&mut self, text: &str) {
        for c in text.chars() {
            match c {
                '&' => self.html.push_str("&#38;"),
                '<' => self.html.push_str("&#60;"),
                '>' => self.html.push_str("&#62;"),
                '"' => self.html.push_str("&#34;"),
                '\'' => self.html.push_str("&#39;"),
                c => self.html.push(c),
            }
        }
    }

    fn finish(mut self) -> String {
        while !self.ends.is_empty() {
            self.end();
        }
        if self.is_cut {
            self.html
                .push_str("<p>… See the release page for the rest.</p>\n");
        }
        self.html
    }
}

const fn alert_title(kind: BlockQuoteKind) -> &'static str {
    match kind {
        BlockQuoteKind::Note => "<p><strong>Note</strong></p>\n",
        BlockQuoteKind::Tip => "<p><strong>Tip</strong></p>\n",
        BlockQuoteKind::Important => "<p><strong>Important</strong></p>\n",
        BlockQuoteKind::Warning => "<p><strong>Warning</strong></p>\n",
        BlockQuoteKind::Caution => "<p><strong>Caution</strong></p>\n",
    }
}

/// The allowed targets of a link: another site, by `http` or `https`, without a user name that
/// looks like a host.
fn address(text: &str) -> Option<String> {
    if text.len() > LONGEST_ADDRESS {
        return None;
    }
    let url = reqwest::Url::parse(text).ok()?;
    let is_sound = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none();
    is_sound.then(|| url.to_string())
}

/// A possible address in a word, between the text before and after it.
fn link_in(word: &str) -> Option<(&str, &str, &str)> {
    if word.len() > LONGEST_ADDRESS {
        return None;
    }
    let at = ["https://", "http://"]
        .iter()
        .filter_map(|scheme| word.find(scheme))
        .min()?;
    let (before, rest) = word.split_at_checked(at)?;
    if before.ends_with(char::is_alphanumeric) {
        return None;
    }
    let end = rest.find('<').unwrap_or(rest.len());
    let (mut shown, _) = rest.split_at_checked(end)?;
    // Punctuation at the end belongs to the sentence, as does a bracket that began before.
    loop {
        let shorter =
            shown.trim_end_matches(|c: char| c.is_whitespace() || "?!.,:;*_~'\"]}".contains(c));
        let shorter = match shorter.strip_suffix(')') {
            Some(inner) if shorter.matches(')').count() > shorter.matches('(').count() => inner,
            _ => shorter,
        };
        if shorter.len() == shown.len() {
            break;
        }
        shown = shorter;
    }
    let after = rest.strip_prefix(shown)?;
    Some((before, shown, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    fn html(markdown: &str) -> String {
        ReleaseNotes::render(markdown).to_string()
    }

    #[test]
    fn notes_look_as_their_authors_meant() {
        let notes = "<!-- Release notes generated using configuration -->\n\n## What's Changed\n\
                     * Fix *the* `thing` by @ada in https://github.com/x/y/pull/12\n\
                     * ~~Old~~ **new** [site](https://example.org/a?b=1&c=2 \"title\")\n\n\
                     1. one\n2. two\n\n- [x] done\n- [ ] open\n\n> [!WARNING]\n> Back up first.\n\n\
                     | a | b |\n|---|---|\n| 1 | 2 |\n\n```sh\nls <dir>\n```\n---\nlast\nline";
        let html = html(notes);
        for part in [
            "<h3>What&#39;s Changed</h3>",
            "<li>Fix <em>the</em> <code>thing</code> by @ada in <a href=\"https://github.com/x/y/pull/12\" rel=\"noopener nofollow noreferrer\">https://github.com/x/y/pull/12</a></li>",
            "<del>Old</del> <strong>new</strong> <a href=\"https://example.org/a?b=1&#38;c=2\" rel=\"noopener nofollow noreferrer\">site</a>",
            "<ol start=\"1\">\n<li>one</li>\n<li>two</li>\n</ol>",
            "☑ done",
            "☐ open",
            "<blockquote><p><strong>Warning</strong></p>\n<p>Back up first.</p>\n</blockquote>",
            "<table>\n<tr><th>a</th><th>b</th></tr>\n<tr><td>1</td><td>2</td></tr>\n</table>",
            "<pre><code>ls &#60;dir&#62;\n</code></pre>",
            "<hr>\n<p>last<br>\nline</p>",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
        assert!(!html.contains("generated using"), "{html}");
        assert_eq!(ReleaseNotes::render("").to_string(), "");
    }

    /// Every tag in the HTML, without its attributes; `</p>` as `/p`.
    fn tags(html: &str) -> Vec<&str> {
        html.split('<')
            .skip(1)
            .map(|rest| rest.split(['>', ' ']).next().unwrap())
            .collect()
    }

    const ALLOWED: [&str; 21] = [
        "p",
        "h3",
        "h4",
        "h5",
        "h6",
        "blockquote",
        "pre",
        "code",
        "ul",
        "ol",
        "li",
        "table",
        "tr",
        "th",
        "td",
        "em",
        "strong",
        "del",
        "a",
        "br",
        "hr",
    ];

    /// Checks that there are only the elements above, each one closed, and that links lead to other
    /// sites.
    fn check(markdown: &str) -> String {
        let html = html(markdown);
        let mut begun = Vec::new();
        for tag in tags(&html) {
            assert!(
                ALLOWED.contains(&tag.trim_start_matches('/')),
                "{tag:?} of {markdown:?}"
            );
            match tag.strip_prefix('/') {
                Some(tag) => assert_eq!(begun.pop(), Some(tag), "{markdown:?}: {html}"),
                None if ["br", "hr"].contains(&tag) => {}
                None => begun.push(tag),
            }
        }
        assert_eq!(begun, Vec::<&str>::new(), "{markdown:?}: {html}");
        for link in html.split("<a href=\"").skip(1) {
            let (to, rest) = link.split_once('"').unwrap();
            assert!(
                to.starts_with("https://") || to.starts_with("http://"),
                "{to}"
            );
            assert!(
                rest.starts_with(" rel=\"noopener nofollow noreferrer\">"),
                "{rest}"
            );
        }
        assert!(
            html.len() < LONGEST_HTML + 6 * LONGEST,
            "{} bytes",
            html.len()
        );
        html
    }

    #[test]
    fn hostile_notes_are_text() {
        for hostile in [
            "<script>alert(1)</script>",
            "a <script>alert(1)</script> b",
            "<img src=x onerror=alert(1)>",
            "a <img src=x onerror=alert(1)> b",
            "<iframe src=\"https://evil.example\"></iframe>",
            "<svg/onload=alert(1)>",
            "<style>body{display:none}</style>",
            "<a href=\"javascript:alert(1)\" onclick=alert(1)>x</a>",
            "<div>\n<form action=/updates/install method=post><button>Go</button></form>\n</div>",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "[x](vbscript:x)",
            "[x](/updates/rollback)",
            "[x](//evil.example)",
            "[x](https://github.com@evil.example/)",
            "[x](<https://a\" onclick=\"alert(1)>)",
            "[x](https://a.example/\"onclick=alert)",
            "<javascript:alert(1)>",
            "![x](https://evil.example/pixel.png)",
            "[![x](https://evil.example/p.png)](https://a.example)",
            "![[x](https://a.example)](https://evil.example/p.png)",
            "[[x](https://a.example)](https://b.example)",
            "https://a.example/\"><script>alert(1)</script>",
            "[x]: javascript:alert(1)\n[x]",
            "```\"><script>\nx\n```",
            "# x {onclick=alert(1)}",
            "| <script> |\n|---|\n| <img src=x> |",
            "&lt;script&gt;alert(1)&lt;/script&gt; &#60;img&#62;",
            "<!-- <script>alert(1)</script>",
            "<!--> <script>alert(1)</script>",
        ] {
            let html = check(hostile);
            // Nothing active is in a tag: quotes and brackets of the input are escaped.
            for tag in html.split('<').skip(1) {
                let (tag, _) = tag.split_once('>').unwrap();
                let outside_quotes: String = tag.split('"').step_by(2).collect();
                assert!(!outside_quotes.contains(" on"), "{hostile:?}: {html}");
            }
            for bad in [
                "href=\"javascript",
                "href=\"data",
                "href=\"/",
                "<script",
                "<img",
                "src=\"",
            ] {
                assert!(!html.to_lowercase().contains(bad), "{hostile:?}: {html}");
            }
        }
        assert!(check("a <script>alert(1)</script>").contains("&#60;script&#62;alert(1)"));
        assert!(check("![a *map*](https://x.example/p.png)").contains("[Image: a <em>map</em>]"));
        assert!(check("<details>\n<summary>More</summary>\n\ntext\n\n</details>").contains("More"));
    }

    #[test]
    fn addresses_in_text_are_links_without_the_sentence_around_them() {
        for (text, address, after) in [
            ("see https://a.example/b.", "https://a.example/b", "."),
            ("(https://a.example/b)", "https://a.example/b", ")"),
            ("https://a.example/b_(c)", "https://a.example/b_(c)", ""),
            (
                "**Full Changelog**: https://a.example/v0.7.0...v0.8.0",
                "https://a.example/v0.7.0...v0.8.0",
                "",
            ),
            (
                "http://a.example/ü, and",
                "http://a.example/%C3%BC",
                ", and",
            ),
        ] {
            let html = check(text);
            assert!(
                html.contains(&format!("<a href=\"{address}\""))
                    && html.contains(&format!("</a>{after}</p>")),
                "{html}"
            );
        }
        for text in [
            "xhttps://a.example",
            "https://",
            "http:// a",
            "ftp://a.example",
        ] {
            assert!(!check(text).contains("<a "), "{text}");
        }
    }

    #[test]
    fn long_and_deep_notes_are_bounded() {
        let began = Instant::now();
        let many = |text: &str| text.repeat(32 * 1024 / text.len());
        let wide = format!(
            "{}\n{}\n{}",
            many("|a")[..8000].to_owned(),
            "|-".repeat(4000),
            "|\n".repeat(8000)
        );
        for text in [
            wide,
            many(">"),
            many("> "),
            many("- "),
            many("*a_ "),
            many("**a __"),
            many("["),
            many("![["),
            many("[a]("),
            many("`"),
            many("<"),
            many("<!--"),
            many("<a "),
            many("&#"),
            many("\\"),
            many("https://a.example/ "),
            format!("https://a.example/{}", many(")")),
            many(&format!("https://a.example/{} ", ")".repeat(2000))),
            many("\"<&>'"),
            many("# a\n"),
            many("ü"),
            "x".repeat(3 * LONGEST),
            "ü".repeat(LONGEST),
            format!(
                "[a]: https://x.example/{}\n\n{}",
                "y".repeat(2000),
                many("[a] ")
            ),
        ] {
            check(&text);
        }
        assert!(check(&"x".repeat(LONGEST + 1)).contains("See the release page for the rest"));
        assert!(
            began.elapsed() < Duration::from_secs(60),
            "{:?}",
            began.elapsed()
        );
    }

    proptest::proptest! {
        #[test]
        fn whatever_notes_are_the_page_stays_whole(text in "[<>/a-c!\\[\\]()*_`~#|:\"'&\n -]{0,120}") {
            check(&text);
        }

        #[test]
        fn any_text_is_rendered(text in ".{0,200}") {
            check(&text);
        }
    }
}
