//! README.md and the book: every command in them runs, every link leads somewhere, and sentences are short.
//!
//! A fenced block says what it is: `sh` is run line by line, `console` too, with its output compared (`...` stands for any words); `text` is for
//! people. Blocks of a page run in one folder, where `file=NAME` puts a block. `needs=REASON` stands at commands that no test can run: they are parsed.
#![allow(missing_docs, clippy::unwrap_used)]

#[path = "book/commands.rs"]
mod commands;
mod common;
#[path = "book/markdown.rs"]
mod markdown;
#[path = "book/shelf.rs"]
mod shelf;

use common::root;
use markdown::{Page, pages, without_code};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Words that a sentence may have.
const LONGEST: usize = 30;

impl Page {
    /// What is wrong, with its place.
    fn at(&self, line: usize, what: &str) -> String {
        format!("{}:{line}: {}", self.name, what.trim_end())
    }
}

#[track_caller]
fn assert_none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn every_command_runs() {
    let wrong: Vec<_> = pages().iter().flat_map(commands::run).collect();
    assert_none(&wrong);
}

#[test]
fn what_cannot_run_is_a_command_line_all_the_same() {
    let (mut wrong, mut count) = (Vec::new(), BTreeMap::<String, usize>::new());
    for page in pages() {
        let (errors, reasons) = commands::parse(&page);
        wrong.extend(errors);
        reasons.into_iter().for_each(|reason| *count.entry(reason).or_default() += 1);
    }
    assert_none(&wrong);
    for (reason, count) in count {
        println!("skipped: {count} commands of the documentation, which are only parsed (needs={reason})");
    }
}

#[test]
fn a_wrong_command_is_found() {
    let runs = |text: &str| commands::run(&Page::parse("page.md", text));
    let parses = |text: &str| commands::parse(&Page::parse("page.md", text)).0;
    assert_none(&runs("```sh\nlegonf graph kinds\n```\n"));
    assert_eq!(runs("```sh\nlegonf graph kind\n```\n").len(), 1);
    assert_eq!(runs("```sh\nlegonf graph show --nf absent.toml\nlegonf graph kinds\n```\n").len(), 1);
    assert_none(&runs("```console\n$ legonf split kitsune-py-100\nkitsune-py-100\n...\n```\n"));
    assert_eq!(runs("```console\n$ legonf split kitsune-py-100\nkitsune-115\n...\n```\n").len(), 1);
    assert_none(&parses(
        "```sh needs=interface\nlegonf live -i eth0 --model m.onnx\n```\nSee `legonf live --eve FILE`.\n",
    ));
    assert_eq!(parses("```sh needs=interface\nlegonf live -i eth0 --modell m.onnx\n```\n").len(), 1);
    assert_eq!(parses("```sh needs=luck\nlegonf graph kinds\n```\n").len(), 1);
    assert_eq!(parses("See `legonf live --evil FILE`,\n`--no-such-option` and `--eve`.\n").len(), 2);
}

#[test]
fn shown_words_agree_with_those_told() {
    for (shown, told, does) in [
        ("a b", "a  b\n", true),
        ("a b", "a c", false),
        ("a b", "a b c", false),
        ("a ...", "a b c", true),
        ("... c", "a b c", true),
        ("a ... c d", "a c c d", true),
        ("a ... b", "a c", false),
        ("...", "", true),
    ] {
        assert_eq!(commands::agree(shown, told), does, "{shown} | {told}");
    }
}

#[test]
fn every_block_says_what_it_is() {
    let known = ["sh", "console", "text", "toml", "json"];
    let mut wrong = Vec::new();
    for page in pages() {
        for block in page.blocks.iter().filter(|block| !known.contains(&block.language.as_str())) {
            wrong.push(
                page.at(block.line, &format!("a block of `{}`; expected one of {known:?}", block.language)),
            );
        }
    }
    assert_none(&wrong);
}

/// What is wrong with a link of a page.
fn broken(page: &Page, target: &str) -> Option<String> {
    if target.starts_with("http") {
        return None;
    }
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let folder = page.path.parent().expect("a folder");
    let path = if file.is_empty() { page.path.clone() } else { folder.join(file) };
    let Ok(path) = path.canonicalize() else { return Some(format!("{target}: there is no {file}")) };
    let top = root().canonicalize().expect("it is there");
    let book = top.join("docs");
    if page.name.starts_with("docs/") && !path.starts_with(&book) {
        return Some(format!("{target} leads out of the book"));
    }
    let name = path.strip_prefix(&top).ok()?.to_str()?.to_owned();
    let anchor = anchor?;
    (!Page::open(&name).anchors().iter().any(|known| known == anchor))
        .then(|| format!("{target}: no such heading"))
}

#[test]
fn every_link_leads_somewhere() {
    let others = ["ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(Page::open);
    let mut wrong = Vec::new();
    for page in pages().iter().chain(&others) {
        for (line, target) in page.links() {
            wrong.extend(broken(page, &target).map(|error| page.at(line, &error)));
        }
    }
    assert_none(&wrong);
    let readme = Page::open("README.md");
    assert!(
        broken(&readme, "docs/absent.md").is_some() && broken(&readme, "ARCHITECTURE.md#absent").is_some()
    );
    assert!(broken(&Page::open("docs/src/papers.md"), "../../README.md").is_some());
}

#[test]
fn the_summary_names_every_page() {
    let summary = Page::open("docs/src/SUMMARY.md");
    let listed: BTreeSet<_> =
        summary.links().into_iter().map(|(_, target)| format!("docs/src/{target}")).collect();
    let present = pages().into_iter().map(|page| page.name);
    let present: BTreeSet<_> =
        present.filter(|name| name.starts_with("docs/src/") && *name != summary.name).collect();
    assert_eq!(listed, present, "left: SUMMARY.md, right: the files");
}

/// Sentences of a page that have too many words. Code counts as a word; blocks and tables are left out.
fn long_sentences(page: &Page) -> Vec<String> {
    let (numbers, text) = page.joined();
    let mut found = Vec::new();
    for (line, paragraph) in numbers.into_iter().zip(text) {
        if paragraph.starts_with('|') || paragraph.starts_with("<!--") {
            continue;
        }
        for sentence in plain(&paragraph).split(". ") {
            let words =
                sentence.split_whitespace().filter(|word| word.contains(char::is_alphanumeric)).count();
            if words > LONGEST {
                found.push(page.at(line, &format!("{words} words: {sentence}")));
            }
        }
    }
    found
}

/// A paragraph without the targets of its links, each code a word, and each end of a sentence `. `.
fn plain(paragraph: &str) -> String {
    let code = without_code(paragraph);
    let mut parts = code.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    let marks: String = text.chars().filter(|c| !"*_[]".contains(*c)).collect();
    marks.replace("? ", ". ").replace("! ", ". ")
}

#[test]
fn sentences_are_short() {
    let wrong: Vec<_> = pages().iter().flat_map(long_sentences).collect();
    assert_none(&wrong);
    let words = |count: usize| "word ".repeat(count) + "end. Next [one](two three).";
    assert_eq!(long_sentences(&Page::parse("page.md", &words(29))).len(), 0);
    assert_eq!(long_sentences(&Page::parse("page.md", &words(30))).len(), 1);
}

#[test]
fn the_readme_is_short() {
    let text = fs::read_to_string(root().join("README.md")).unwrap();
    assert!(text.lines().count() <= 165, "{} lines", text.lines().count());
}
