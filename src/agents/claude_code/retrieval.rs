//! What a call looked up, and what it found.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::paths::{Place, Scope};
use crate::domain::fact::data::{RetrievalMade, Source};
use crate::domain::fact::values::{Content, LineSet};

/// The most sources that a fact holds, and the most bytes of them.
const SOURCES: usize = 100;
const SOURCE_BYTES: usize = 24 * 1024;

/// The retrieval that a successful call was, if it was one.
pub(super) fn retrieval(
    tool: &str,
    input: &Value,
    detail: &Value,
    directory: Option<&str>,
    scope: &Scope<'_>,
) -> Option<RetrievalMade> {
    let asked = |name: &str| input.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let (query, sources) = match tool {
        "Read" => {
            let path = asked("file_path")?;
            let place = scope.place(path, directory);
            (place.path.to_string(), vec![read(place, input, detail, scope)])
        }
        "Grep" => (asked("pattern")?.to_owned(), grep(asked("path"), detail, directory, scope)),
        "Glob" => {
            let found = names(detail).map(|name| at(scope.place(name, directory))).collect();
            (asked("pattern")?.to_owned(), found)
        }
        "WebFetch" => {
            let uri = detail.get("url").and_then(Value::as_str).or(asked("url"))?;
            let query = asked("prompt").unwrap_or(uri).to_owned();
            (query, vec![uri_source(uri)])
        }
        "WebSearch" => (asked("query")?.to_owned(), web_results(detail)),
        _ => return None,
    };
    let (sources, rest) = split(sources);
    let more_sources = (!rest.is_empty()).then(|| Content::Inline(rest.join("\n")));
    Some(RetrievalMade { tool: tool.to_owned(), query: Content::Inline(query), sources, more_sources })
}

fn at(place: Place) -> Source {
    Source { path: Some(place.path), uri: None, oid: None, lines: None, score: None }
}

fn uri_source(uri: &str) -> Source {
    Source { path: None, uri: Some(uri.to_owned()), oid: None, lines: None, score: None }
}

fn names(detail: &Value) -> impl Iterator<Item = &str> {
    detail.get("filenames").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// A file read: which lines, and its blob where all of it was read and the text shows that it is all.
fn read(place: Place, input: &Value, detail: &Value, scope: &Scope<'_>) -> Source {
    let file = detail.get("file").filter(|_| detail.get("type").and_then(Value::as_str) == Some("text"));
    let number = |name: &str| file?.get(name)?.as_u64().filter(|n| *n < 1 << 32);
    let mut source = at(place.clone());
    if let (Some(first @ 1..), Some(count @ 1..)) = (number("startLine"), number("numLines")) {
        source.lines = Some(LineSet::from_numbers([first]).to_string());
        if count > 1 {
            source.lines = Some(format!("{first}-{}", first + count - 1));
        }
        let content = file.and_then(|file| file.get("content")).and_then(Value::as_str).unwrap_or("");
        // The agent counts what follows the last line end as a line; a text that does not end with one could have
        // lost it. Long lines are cut when shown.
        let whole = first == 1
            && number("totalLines") == Some(count)
            && content.ends_with('\n')
            && content.split('\n').count() as u64 == count
            && content.lines().all(|line| line.len() < 2000)
            && ["offset", "limit"].iter().all(|name| input.get(name).is_none_or(Value::is_null));
        if whole {
            source.oid = scope.blob(&place, content);
        }
    }
    source
}

static NUMBERED: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"^((?:[A-Za-z]:)?[^:\n]{1,4096}):(\d{1,9}):").expect("a pattern of this file")
});
static ONLY_NUMBER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^(\d{1,9}):").expect("a pattern of this file"));

/// The files that a search found, with the lines where its output has them.
fn grep(searched: Option<&str>, detail: &Value, directory: Option<&str>, scope: &Scope<'_>) -> Vec<Source> {
    let listed: Vec<Source> = names(detail).map(|name| at(scope.place(name, directory))).collect();
    let content = detail.get("content").and_then(Value::as_str).unwrap_or("");
    if !listed.is_empty()
        || content.is_empty()
        || detail.get("mode").and_then(Value::as_str) != Some("content")
    {
        return listed;
    }
    // One file searched is not named in front of its lines.
    let single = searched.filter(|_| {
        content
            .lines()
            .all(|line| line == "--" || line.trim_start_matches(|c: char| c.is_ascii_digit()) != line)
    });
    let mut order: Vec<String> = Vec::new();
    let mut found: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in content.lines() {
        let (name, digits) = match single {
            Some(name) => match ONLY_NUMBER.captures(line) {
                Some(parts) => (name.to_owned(), parts[1].to_owned()),
                None => continue,
            },
            None => match NUMBERED.captures(line) {
                Some(parts) => (parts[1].to_owned(), parts[2].to_owned()),
                None => continue,
            },
        };
        let Some(number) = digits.parse().ok().filter(|n| *n > 0) else { continue };
        if !found.contains_key(&name) {
            order.push(name.clone());
        }
        found.entry(name).or_default().push(number);
    }
    if order.is_empty() {
        // Lines without names or numbers: all that is known is where it looked.
        return searched.map(|path| at(scope.place(path, directory))).into_iter().collect();
    }
    order
        .into_iter()
        .map(|name| {
            let lines = found.remove(&name).map(|numbers| LineSet::from_numbers(numbers).to_string());
            Source { lines, ..at(scope.place(&name, directory)) }
        })
        .collect()
}

fn web_results(detail: &Value) -> Vec<Source> {
    let results = detail.get("results").and_then(Value::as_array).into_iter().flatten();
    results
        .filter_map(|result| result.get("content").and_then(Value::as_array))
        .flatten()
        .filter_map(|hit| hit.get("url").and_then(Value::as_str))
        .map(uri_source)
        .collect()
}

/// The sources that fit into a fact, and the names of the others.
fn split(sources: Vec<Source>) -> (Vec<Source>, Vec<String>) {
    let (mut kept, mut rest, mut bytes) = (Vec::new(), Vec::new(), 0);
    for source in sources {
        let path = source.path.as_ref().map(ToString::to_string);
        let name = path.or_else(|| source.uri.clone()).unwrap_or_default();
        let size = name.len() + source.lines.as_ref().map_or(0, String::len);
        if kept.len() < SOURCES && bytes + size <= SOURCE_BYTES && rest.is_empty() {
            bytes += size;
            kept.push(source);
        } else {
            rest.push(name);
        }
    }
    (kept, rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::claude_code::Options;
    use crate::agents::gates::GateTable;
    use crate::domain::ids::Oid;
    use serde_json::json;

    fn shown(tool: &str, input: Value, detail: Value) -> String {
        let gates = GateTable::built_in();
        let options = Options {
            gates: &gates,
            blob_id: &|_| Oid::Sha1([0; 20]),
            looks_secret: &|path| path.ends_with(b".pem"),
            root: Some("/w"),
            null_tree: Oid::Sha1([0; 20]),
        };
        let made = retrieval(tool, &input, &detail, Some("/w/sub"), &Scope::new(options, None)).unwrap();
        let source = |s: &Source| {
            let name = s.path.as_ref().map_or_else(|| s.uri.clone().unwrap(), ToString::to_string);
            format!("{name}@{}{}", s.lines.as_deref().unwrap_or("-"), if s.oid.is_some() { "!" } else { "" })
        };
        let sources: Vec<_> = made.sources.iter().map(source).collect();
        let more =
            made.more_sources.map_or(String::new(), |c| format!(" +{}", c.text().unwrap().lines().count()));
        format!("{}: {}{more}", made.query.text().unwrap(), sources.join(" "))
    }

    #[test]
    fn a_file_read_whole_has_a_blob() {
        let file = |content: &str, start: u64, lines: u64, total: u64| {
            json!({"type": "text", "file": {"filePath": "/w/a", "content": content, "numLines": lines,
                "startLine": start, "totalLines": total}})
        };
        let input = || json!({"file_path": "/w/a"});
        assert_eq!(shown("Read", input(), file("x\ny\n", 1, 3, 3)), "a: a@1-3!");
        assert_eq!(
            shown("Read", input(), file("x\ny", 1, 2, 2)),
            "a: a@1-2",
            "the last line end may be lost"
        );
        assert_eq!(shown("Read", input(), file("x\n", 2, 2, 3)), "a: a@2-3");
        assert_eq!(shown("Read", json!({"file_path": "/w/k.pem"}), file("x\n", 1, 2, 2)), "k.pem: k.pem@1-2");
        assert_eq!(shown("Read", input(), json!("no")), "a: a@-");
    }

    #[test]
    fn searches_name_files_and_lines() {
        let input = || json!({"pattern": "x", "path": "/w/sub/one.rs"});
        let content = |text: &str| json!({"mode": "content", "filenames": [], "content": text});
        assert_eq!(shown("Grep", input(), content("3:x\n4-y\n9:x")), "x: sub/one.rs@3,9");
        assert_eq!(
            shown("Grep", input(), content("a.rs:3:x\na.rs-4-y\nb.rs:1:x:2:")),
            "x: sub/a.rs@3 sub/b.rs@1"
        );
        assert_eq!(shown("Grep", input(), content("fn x()")), "x: sub/one.rs@-");
        assert_eq!(shown("Grep", input(), content("")), "x: ");
        let listed = json!({"mode": "files_with_matches", "filenames": ["a.rs", "/w/b.rs"]});
        assert_eq!(shown("Grep", input(), listed), "x: sub/a.rs@- b.rs@-");
        let many: Vec<String> = (0..130).map(|n| format!("/w/{n}")).collect();
        assert!(shown("Glob", json!({"pattern": "*"}), json!({"filenames": many})).ends_with(" +30"));
    }

    #[test]
    fn the_web_is_named_by_address() {
        let fetch = json!({"url": "https://example.org/a", "prompt": "what"});
        assert_eq!(shown("WebFetch", fetch, json!({})), "what: https://example.org/a@-");
        let found =
            json!({"results": ["text", {"content": [{"title": "t", "url": "https://example.org/b"}]}]});
        assert_eq!(shown("WebSearch", json!({"query": "q"}), found), "q: https://example.org/b@-");
    }
}
