//! Pages as Markdown: the article a page is about, or all of it.

use dom_query::{Document, NodeRef};
use dom_smoothie::{Config, Readability};
use url::Url;

use crate::{links, page};

/// Elements the search for the article looks at. It goes over the page up to four times; past this it would take longer
/// than callers wait, and the page is no article.
const MAX_ELEMENTS: usize = 100_000;

/// The element that Readability puts around the article.
const ARTICLE: &str = "#readability-page-1";

/// The article of a page.
pub(crate) struct Article {
    /// Without the name of the site, where that can be told.
    pub(crate) title: Option<String>,
    /// Never blank.
    pub(crate) markdown: String,
}

/// What a page is about, without what surrounds it. None: nothing stands out.
pub(crate) fn article(document: Document, address: &Url) -> Option<Article> {
    let base = links::base(&document, address);
    let config = Config {
        // The language of a code block is in a class.
        keep_classes: true,
        max_elements_to_parse: MAX_ELEMENTS,
        // JSON written by the page, for little more than a title.
        disable_json_ld: true,
        ..Config::default()
    };
    let mut readability = Readability::with_document(document, Some(address.as_str()), Some(config)).ok()?;
    let title = readability.parse().ok()?.title;
    // The article stands in what is left of the page.
    let markdown = write(readability.doc.select_single(ARTICLE).nodes().first()?, &base, address);
    let title = Some(links::one_line(&title)).filter(|title| !title.is_empty());
    (!markdown.is_empty()).then_some(Article { title, markdown })
}

/// All of a page that a person would see.
pub(crate) fn full(document: &Document, address: &Url) -> String {
    let hidden: Vec<_> = document.root().descendants_it().filter(is_hidden).collect();
    for node in hidden {
        node.remove_from_parent();
    }
    write(&document.root(), &links::base(document, address), address)
}

/// What a page calls itself.
pub(crate) fn title(document: &Document) -> Option<String> {
    let titles = document.head()?.children_it(false).find(|node| node.has_name("title"))?;
    Some(links::one_line(&titles.text())).filter(|title| !title.is_empty())
}

fn is_hidden(node: &NodeRef<'_>) -> bool {
    let is_styled_away = || {
        node.attr("style").is_some_and(|style| {
            let style: String = style.to_ascii_lowercase().split_whitespace().collect();
            style.contains("display:none") || style.contains("visibility:hidden")
        })
    };
    node.is_element() && (node.has_attr("hidden") || is_styled_away())
}

fn write(root: &NodeRef<'_>, base: &Url, address: &Url) -> String {
    page::remove(root, |name| {
        matches!(name, "template" | "svg" | "iframe" | "object" | "embed" | "canvas" | "audio" | "video" | "select")
    });
    let elements: Vec<_> = root.descendants_it().filter(NodeRef::is_element).collect();
    for element in elements {
        prepare(&element, base, address);
    }
    without_blank_runs(&root.md(None))
}

/// Makes an element what the Markdown writer expects: absolute addresses, no data in them, and only block elements that
/// it knows to be blocks.
fn prepare(element: &NodeRef<'_>, base: &Url, address: &Url) {
    let Some(name) = element.node_name() else { return };
    match &*name {
        "a" => match element.attr("href").and_then(|href| links::absolute(&href, base, address)) {
            Some(url) => element.set_attr("href", url.as_str()),
            None => element.remove_attr("href"),
        },
        "img" => match element.attr("src").and_then(|src| links::absolute(&src, base, address)) {
            Some(url) => element.set_attr("src", url.as_str()),
            None => {
                element.rename("span");
                element.set_text(element.attr_or("alt", ""));
            }
        },
        "address" | "aside" | "details" | "dd" | "dt" | "fieldset" | "figcaption" | "figure" | "footer" | "form"
        | "header" | "hgroup" | "legend" | "main" | "nav" | "search" | "summary" => element.rename("div"),
        _ => {}
    }
}

/// At most one blank line in a row, except in code.
fn without_blank_runs(markdown: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut fence: Option<&str> = None;
    for line in markdown.lines() {
        let trimmed = line.trim_start_matches(['>', ' ']);
        let ticks = &trimmed[..trimmed.len() - trimmed.trim_start_matches('`').len()];
        match fence {
            Some(opened) if trimmed.trim_end() == opened => fence = None,
            None if ticks.len() >= 3 => fence = Some(ticks),
            Some(_) | None => {}
        }
        let is_blank = line.trim().is_empty();
        if !is_blank || fence.is_some() || kept.last().is_some_and(|last| !last.trim().is_empty()) {
            kept.push(if is_blank && fence.is_none() { "" } else { line });
        }
    }
    kept.join("\n").trim_matches('\n').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(html: &str, expected: &str) {
        let address = Url::parse("https://a.b/c/d").expect("an address");
        assert_eq!(full(&page::parse(html).document, &address), expected);
    }

    #[test]
    fn blocks_do_not_run_together() {
        check("<header>a</header><main>b<figure>c<figcaption>d</figcaption></figure></main>", "a\n\nb\n\nc\n\nd");
        check("<dl><dt>a<dd>b<dt>c<dd>d</dl>", "a\n\nb\n\nc\n\nd");
    }

    #[test]
    fn addresses_are_absolute_or_gone() {
        check("<a href=x>x</a> <a href='#y'>y</a> <a href='javascript:z'>z</a>", "[x](https://a.b/c/x) y z");
        check("<img src=i.png alt=i> <img src='data:image/png;base64,AAAA' alt=j>", "![i](https://a.b/c/i.png) j");
    }

    #[test]
    fn what_nobody_sees_is_left_out() {
        check(
            "<style>s</style><script>s</script><p hidden>h</p><p style='Display: none'>h</p><template>t</template><p>p",
            "p",
        );
    }

    #[test]
    fn code_keeps_its_language_and_its_blank_lines() {
        check("<pre><code class='language-rust'>a\n\n\n\nb</code></pre>", "```rust\na\n\n\n\nb\n```");
    }

    #[test]
    fn markup_in_text_stays_text() {
        check("<p>&lt;script&gt; *a* [b](c)", "\\<script> \\*a\\* \\[b\\](c)");
    }
}
