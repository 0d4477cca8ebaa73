//! Text that is safe to show: nothing in it acts on a terminal, turns the direction of writing, or ends an XML element.

use std::borrow::Cow;
use std::fmt::Write;

/// Text of several lines: control characters and marks of direction as escapes (`\u{1b}`), line feeds and tabs as they are.
pub fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, |c| acts(c) && c != '\n' && c != '\t', push_escape)
}

/// Text of one line, such as a name that comes from a file: as [`printable`], and line feeds and tabs are escapes, too.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escaped(text, acts, push_escape)
}

/// A JSON document with the same value: what [`printable`] escapes, and JSON allows in strings, in JSON's own escapes.
pub fn printable_json(document: &str) -> Cow<'_, str> {
    // Control characters below U+0020 can only be white space between tokens.
    let unsafe_in_string = |c: char| acts(c) && c >= ' ';
    escaped(document, unsafe_in_string, |out, c| {
        // Writing to a String cannot fail.
        let _ = c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(out, "\\u{unit:04x}"));
    })
}

/// Text for an element or an attribute of XML: as [`one_line`], with entities for what XML gives a meaning.
pub fn xml(text: &str) -> String {
    one_line(text).chars().fold(String::new(), |mut out, c| {
        match entity(c) {
            Some(entity) => out.push_str(entity),
            None => out.push(c),
        }
        out
    })
}

fn entity(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&apos;",
        _ => return None,
    })
}

/// Whether a character does something other than to be seen: controls (C0, DEL, C1), separators of lines and paragraphs,
/// embeddings, overrides and isolates of direction; or whether XML forbids it.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

fn push_escape(out: &mut String, c: char) {
    out.extend(c.escape_default());
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool, push: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_escaped(c) { push(&mut out, c) } else { out.push(c) }
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_acts_is_escaped_and_the_rest_stays() {
        let name = "a\u{1b}]0;x\u{7}\u{9b}31m\u{202e}b\u{2066}\u{7f}\n\tgrün 網 😀";
        let expected = "a\\u{1b}]0;x\\u{7}\\u{9b}31m\\u{202e}b\\u{2066}\\u{7f}";
        assert_eq!(printable(name), format!("{expected}\n\tgrün 網 😀"));
        assert_eq!(one_line(name), format!("{expected}\\n\\tgrün 網 😀"));
        assert!(matches!(printable("plain\n"), Cow::Borrowed(_)));
    }

    #[test]
    fn json_keeps_its_value() {
        let document = "{\n  \"a\": \"\u{9b}\u{202e}\u{7f}ü\"\n}";
        assert_eq!(printable_json(document), "{\n  \"a\": \"\\u009b\\u202e\\u007fü\"\n}");
    }

    #[test]
    fn xml_has_no_meaning_and_no_forbidden_character_left() {
        assert_eq!(
            xml("<a b=\"c\" d='e'>&\u{0}\u{fffe}"),
            "&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;\\u{0}\\u{fffe}"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_acts_is_left(text in any::<String>()) {
            prop_assert!(!one_line(&text).contains(acts));
            prop_assert!(!printable(&text).contains(|c| acts(c) && c != '\n' && c != '\t'));
            prop_assert!(!xml(&text).contains(['<', '>', '"', '\'']));
        }
    }
}
