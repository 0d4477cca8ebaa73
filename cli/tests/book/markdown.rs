//! Pages of the documentation: their blocks, prose and links.

use crate::common::root;
use std::fs;
use std::path::{Path, PathBuf};

/// A fenced block.
pub struct Block {
    /// The line of its fence, from 1.
    pub line: usize,
    /// The first word behind the fence.
    pub language: String,
    /// The others, such as `needs=interface`.
    attributes: Vec<String>,
    pub text: String,
}

impl Block {
    fn open(line: usize, info: &str) -> Self {
        let mut words = info.split_whitespace().map(str::to_owned);
        let language = words.next().unwrap_or_default();
        Self { line, language, attributes: words.collect(), text: String::new() }
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|attribute| attribute.strip_prefix(name)?.strip_prefix('='))
    }

    /// Its lines, with their numbers.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (self.line + 1 + index, line))
    }
}

/// A file in Markdown.
pub struct Page {
    pub path: PathBuf,
    /// Its path from the top of the repository.
    pub name: String,
    pub blocks: Vec<Block>,
    /// All lines outside of blocks, with their numbers.
    pub outside: Vec<(usize, String)>,
}

impl Page {
    pub fn open(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self::parse(name, &text)
    }

    pub fn parse(name: &str, text: &str) -> Self {
        let mut page =
            Self { path: root().join(name), name: name.to_owned(), blocks: Vec::new(), outside: Vec::new() };
        let mut open: Option<Block> = None;
        for (index, line) in text.lines().enumerate() {
            match (line.trim_start().strip_prefix("```"), open.take()) {
                (Some(info), None) => open = Some(Block::open(index + 1, info)),
                (Some(_), Some(block)) => page.blocks.push(block),
                (None, Some(mut block)) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                    open = Some(block);
                }
                (None, None) => page.outside.push((index + 1, line.to_owned())),
            }
        }
        assert!(open.is_none(), "{name}: a block has no end");
        page
    }

    /// Inline code, with the numbers of its lines.
    pub fn code(&self) -> Vec<(usize, String)> {
        let spans = |line: &str| line.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
        let (numbers, text) = self.joined();
        let mut found = Vec::new();
        for (line, paragraph) in numbers.into_iter().zip(text) {
            found.extend(spans(&paragraph).into_iter().map(|span| (line, span)));
        }
        found
    }

    /// Targets of links, with the numbers of their lines.
    pub fn links(&self) -> Vec<(usize, String)> {
        let (numbers, text) = self.joined();
        let mut found = Vec::new();
        for (line, paragraph) in numbers.into_iter().zip(text) {
            let plain = without_code(&paragraph);
            for part in plain.split("](").skip(1) {
                found.push((line, part.split(')').next().unwrap_or_default().to_owned()));
            }
        }
        found
    }

    /// Paragraphs, items of lists, headings and rows of tables, each in one line, with the numbers of their first lines.
    pub fn joined(&self) -> (Vec<usize>, Vec<String>) {
        let (mut numbers, mut text) = (Vec::new(), Vec::<String>::new());
        let mut last = None;
        for (number, line) in &self.outside {
            let goes_on = last == Some(number - 1) && !begins(line);
            match text.last_mut() {
                Some(paragraph) if goes_on => {
                    paragraph.push(' ');
                    paragraph.push_str(line.trim());
                }
                _ => {
                    numbers.push(*number);
                    text.push(line.trim().to_owned());
                }
            }
            last = (!line.trim().is_empty() && !line.starts_with('#')).then_some(*number);
        }
        (numbers, text)
    }

    /// Names by which links lead to its headings.
    pub fn anchors(&self) -> Vec<String> {
        self.outside.iter().filter(|(_, line)| line.starts_with('#')).map(|(_, line)| anchor(line)).collect()
    }
}

/// Whether a line begins a paragraph of its own, whatever is before it.
fn begins(line: &str) -> bool {
    let line = line.trim_start();
    let number = line.split_once(". ").is_some_and(|(number, _)| number.parse::<u8>().is_ok());
    number || ["- ", "* ", "|", "#", "<!--"].iter().any(|sign| line.starts_with(sign)) || line.is_empty()
}

/// The name of a heading in links, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let kept = |c: char| c.is_alphanumeric() || c == '-' || c == '_' || c == ' ';
    let text: String = heading.trim_start_matches('#').trim().chars().filter(|c| kept(*c)).collect();
    text.to_lowercase().replace(' ', "-")
}

/// A paragraph whose inline code is one word each.
pub fn without_code(text: &str) -> String {
    text.split('`').enumerate().map(|(index, part)| if index % 2 == 0 { part } else { "code" }).collect()
}

/// README.md, the book's summary and its pages.
pub fn pages() -> Vec<Page> {
    let mut names = vec!["README.md".to_owned()];
    collect(Path::new("docs/src"), &mut names);
    names.sort();
    names.iter().map(|name| Page::open(name)).collect()
}

fn collect(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).expect("a folder") {
        let entry = entry.expect("an entry");
        let path = folder.join(entry.file_name());
        if entry.path().is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            names.push(path.to_str().expect("a name in UTF-8").to_owned());
        }
    }
}
