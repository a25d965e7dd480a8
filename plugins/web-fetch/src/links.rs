//! The links of a page.

use std::collections::HashSet;

use dom_query::{Document, NodeRef};
use url::Url;

use crate::record::Link;

/// Longest text of a link, in characters; some pages wrap a whole teaser in one.
const MAX_TEXT: usize = 200;

/// Where the relative addresses of a page begin: its `<base href>`, else its own address.
pub(crate) fn base(document: &Document, address: &Url) -> Url {
    let named = document.base_uri().and_then(|href| address.join(href.trim()).ok());
    named.filter(|base| matches!(base.scheme(), "http" | "https")).unwrap_or_else(|| address.clone())
}

/// An address on the page made absolute; none: it is not a web address, or only a place on the same page.
pub(crate) fn absolute(href: &str, base: &Url, address: &Url) -> Option<Url> {
    if href.trim_start().starts_with('#') {
        return None;
    }
    let url = base.join(href.trim()).ok()?;
    if !matches!(url.scheme(), "http" | "https") {
        return None;
    }
    if url.fragment().is_some() {
        let mut whole = url.clone();
        whole.set_fragment(None);
        if whole == *address {
            return None;
        }
    }
    Some(url)
}

/// All links to other pages, each address once, in the order of the page.
pub(crate) fn of(document: &Document, address: &Url) -> Vec<Link> {
    let base = base(document, address);
    let mut seen = HashSet::new();
    let mut links = Vec::new();
    for node in document.root().descendants_it().filter(|node| node.has_name("a") || node.has_name("area")) {
        let Some(url) = node.attr("href").and_then(|href| absolute(&href, &base, address)) else { continue };
        let url = String::from(url);
        if seen.insert(url.clone()) {
            links.push(Link { text: text(&node).unwrap_or_else(|| url.clone()), url });
        }
    }
    links
}

/// What a link says: its text, else its label, title or picture.
fn text(link: &NodeRef<'_>) -> Option<String> {
    let picture = || link.descendants_it().filter(|node| node.has_name("img")).find_map(|img| img.attr("alt"));
    let texts = [Some(link.text()), link.attr("aria-label"), link.attr("title"), link.attr("alt"), picture()];
    texts.into_iter().flatten().map(|text| one_line(&text)).find(|text| !text.is_empty())
}

/// Text with single spaces, cut where it gets long.
pub(crate) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX_TEXT) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page;

    #[track_caller]
    fn check(html: &str, expected: &[(&str, &str)]) {
        let address = Url::parse("https://a.b/c/d?e=f").expect("an address");
        let links = of(&page::parse(html).document, &address);
        let links: Vec<_> = links.iter().map(|link| (link.url.as_str(), link.text.as_str())).collect();
        assert_eq!(links, expected);
    }

    #[test]
    fn addresses_are_absolute_and_once() {
        check(
            "<a href=x>X</a> <a href='/y'> Y\n y </a> <a href='//z.z/'>Z</a> <a href=' x '>again</a> <a href='?q'>Q</a>",
            &[("https://a.b/c/x", "X"), ("https://a.b/y", "Y y"), ("https://z.z/", "Z"), ("https://a.b/c/d?q", "Q")],
        );
    }

    #[test]
    fn only_the_web_and_only_other_pages() {
        check(
            "<a href='#f'>f</a><a href='d?e=f#f'>f</a><a href='javascript:x()'>j</a><a href='mailto:a@b'>m</a>\
             <a href='data:text/html,x'>d</a><a href='http://['>bad</a><a>none</a><a href='x#f'>other</a>",
            &[("https://a.b/c/x#f", "other")],
        );
    }

    #[test]
    fn a_base_moves_them() {
        check("<base href='/g/'><a href=x>X</a>", &[("https://a.b/g/x", "X")]);
        check("<base href='data:x'><a href=x>X</a>", &[("https://a.b/c/x", "X")]);
    }

    #[test]
    fn a_link_without_text_says_something_else() {
        check(
            "<a href=1 aria-label=label></a><a href=2><img alt=picture></a><map><area href=3 alt=area></map><a href=4></a>",
            &[
                ("https://a.b/c/1", "label"),
                ("https://a.b/c/2", "picture"),
                ("https://a.b/c/3", "area"),
                ("https://a.b/c/4", "https://a.b/c/4"),
            ],
        );
    }
}
