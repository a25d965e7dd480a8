//! HTML to a tree that can be walked safely: what is parsed may come from someone hostile.
//!
//! The HTML parser looks through the open elements at nearly every tag, so a hundred thousand nested `<div>` cost minutes;
//! and code that walks a tree often calls itself. Hence two limits on depth, one while parsing and one on the result, and
//! one on the number of nodes, because unclosed formatting makes many nodes of few bytes.

use std::cell::Cell;

use dom_query::{Document, NodeId, NodeRef};
use html5ever::buffer_queue::BufferQueue;
use html5ever::interface::{TokenizerResult, Tracer};
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer};
use html5ever::tree_builder::{TreeBuilder, TreeBuilderOpts};

/// Elements open at once, after which start tags are left out. Browsers stop at 512 too.
const MAX_OPEN: usize = 512;

/// Depth of the tree. The deepest page seen in practice has under 100; the walks that call themselves need less than
/// 1 KiB of stack a level.
const MAX_DEPTH: usize = 256;

/// Nodes in the tree, each about 100 bytes.
const MAX_NODES: usize = 400_000;

/// Tags between two looks at the open elements.
const TAGS_BETWEEN: u32 = 16;

/// A page without scripts and styles.
pub(crate) struct Page {
    /// No deeper than the limit.
    pub(crate) document: Document,
    /// Whether the page had more nodes than we take.
    pub(crate) is_cut: bool,
}

/// Parses a page. Every text is some page.
pub(crate) fn parse(html: &str) -> Page {
    // As without scripting, so that the content of `noscript` is part of the page.
    let options = TreeBuilderOpts { scripting_enabled: false, ..TreeBuilderOpts::default() };
    let guard = Guard {
        builder: TreeBuilder::new(Document::default(), options),
        tags: Cell::new(0),
        is_deep: Cell::new(false),
        is_full: Cell::new(false),
    };
    let tokenizer = Tokenizer::new(guard, Default::default());
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    // The parser stops at the end of each script for us to run it.
    while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    tokenizer.end();
    let Guard { builder, is_full, .. } = tokenizer.sink;
    let document = builder.sink;
    remove(&document.root(), |name| matches!(name, "script" | "style"));
    flatten(&document.root());
    Page { document, is_cut: is_full.get() }
}

/// Takes out all elements with a name that `is_unwanted`.
pub(crate) fn remove(root: &NodeRef<'_>, is_unwanted: impl Fn(&str) -> bool) {
    let unwanted = |node: &NodeRef<'_>| node.qual_name_ref().is_some_and(|name| is_unwanted(&name.local));
    let nodes: Vec<_> = root.descendants_it().filter(unwanted).collect();
    for node in nodes {
        node.remove_from_parent();
    }
}

/// Makes plain text of what lies deeper than the limit.
fn flatten(root: &NodeRef<'_>) {
    let mut open = vec![(*root, 0)];
    while let Some((node, depth)) = open.pop() {
        if depth < MAX_DEPTH {
            open.extend(node.children_it(false).map(|child| (child, depth + 1)));
        } else if node.first_element_child().is_some() {
            let text = node.text();
            node.set_text(text);
        }
    }
}

/// Stands between tokenizer and tree builder.
struct Guard {
    builder: TreeBuilder<NodeId, Document>,
    tags: Cell<u32>,
    is_deep: Cell<bool>,
    is_full: Cell<bool>,
}

impl Guard {
    /// Whether the tree builder may have this tag.
    fn admits(&self, tag: &Tag) -> bool {
        self.tags.set(self.tags.get().wrapping_add(1));
        if self.tags.get().is_multiple_of(TAGS_BETWEEN) {
            let open = Open(Cell::new(0));
            self.builder.trace_handles(&open);
            self.is_deep.set(open.0.get() > MAX_OPEN);
            self.is_full.set(self.builder.sink.tree.len() > MAX_NODES);
        }
        // What is in a script is not text, which only the tree builder can tell the tokenizer.
        let is_raw = matches!(&*tag.name, "script" | "style" | "textarea" | "title" | "xmp" | "iframe" | "noframes");
        tag.kind == TagKind::EndTag || is_raw || !self.is_deep.get()
    }
}

impl TokenSink for Guard {
    type Handle = NodeId;

    fn process_token(&self, token: Token, line: u64) -> TokenSinkResult<NodeId> {
        let is_wanted = match &token {
            Token::EOFToken => true,
            Token::ParseError(_) => false,
            Token::TagToken(tag) => !self.is_full.get() && self.admits(tag),
            Token::DoctypeToken(_) | Token::CommentToken(_) | Token::CharacterTokens(_) | Token::NullCharacterToken => {
                !self.is_full.get()
            }
        };
        if is_wanted { self.builder.process_token(token, line) } else { TokenSinkResult::Continue }
    }

    fn end(&self) {
        self.builder.end();
    }

    fn adjusted_current_node_present_but_not_in_html_namespace(&self) -> bool {
        self.builder.adjusted_current_node_present_but_not_in_html_namespace()
    }
}

/// Counts what the tree builder holds on to: the open elements and a few more.
struct Open(Cell<usize>);

impl Tracer for Open {
    type Handle = NodeId;

    fn trace_handle(&self, _: &NodeId) {
        self.0.set(self.0.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn depth(document: &Document) -> usize {
        let (mut open, mut deepest) = (vec![(document.root(), 0)], 0);
        while let Some((node, depth)) = open.pop() {
            deepest = deepest.max(depth);
            open.extend(node.children_it(false).map(|child| (child, depth + 1)));
        }
        deepest
    }

    #[track_caller]
    fn stays_shallow(html: &str) -> Document {
        let page = parse(html);
        assert!(depth(&page.document) <= MAX_DEPTH + 1);
        assert!(page.document.tree.len() < 2 * MAX_NODES);
        page.document
    }

    #[test]
    fn ordinary_pages_are_as_the_parser_made_them() {
        let html = "<!DOCTYPE html><title>t</title><p>a<table><tr><td>b</table><ul><li>c<li>d</ul>";
        assert_eq!(parse(html).document.html(), Document::from(html).html());
    }

    #[test]
    fn text_below_the_limit_stays() {
        let html = format!("{}deep<b>er</b>", "<div>".repeat(400));
        assert_eq!(stays_shallow(&html).text().trim(), "deeper");
    }

    #[test]
    fn after_a_deep_part_the_page_goes_on() {
        let n = 100_000;
        let html = format!("{}x{}<h1 id=after>after</h1>", "<div>".repeat(n), "</div>".repeat(n));
        assert_eq!(stays_shallow(&html).select("#after").text().as_ref(), "after");
    }

    #[test]
    fn hostile_nesting_is_cheap() {
        stays_shallow(&"<div>".repeat(100_000));
        let n = 20_000;
        stays_shallow(&"<b><div></b>".repeat(n));
        stays_shallow(&"<a href=x><p>".repeat(n));
        stays_shallow(&"<div><object></div>".repeat(n));
        stays_shallow(&"<svg><g>".repeat(n));
        stays_shallow(&"<table><tr><td>".repeat(n));
        stays_shallow(&"<template>".repeat(n));
        stays_shallow(&"<ul><li>".repeat(n));
    }

    #[test]
    fn formatting_that_multiplies_is_cut() {
        let opened: String = (0..200).map(|n| format!("<b id={n}>")).collect();
        let page = parse(&format!("<p>{opened}{}", "<p>x".repeat(10_000)));
        assert!(page.is_cut);
        assert!(page.document.tree.len() < 2 * MAX_NODES);
    }

    #[test]
    fn scripts_are_not_text_at_any_depth() {
        let html = format!("{}<script>if (a<b) {{ x }}</script>", "<div>".repeat(2_000));
        assert_eq!(stays_shallow(&html).text().trim(), "");
    }
}
