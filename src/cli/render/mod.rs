//! Reports to text for people and to JSON for programs.

pub mod audit;
mod blame;
pub mod generated;
mod policy;
pub mod proposals;
mod replay;
mod rollback;
mod text;

use serde::Serialize;
use serde_json::Value;

use super::ui::Text;
use crate::commands::Report;

/// A report's form for people.
pub trait Render {
    /// Writes it.
    fn render(&self, text: &mut Text);

    /// Bytes to print as they are in place of any text.
    fn instead(&self) -> Option<&[u8]> {
        None
    }

    /// A unified diff that follows the text, byte for byte as `git apply` wants it.
    fn patch(&self) -> Option<&[u8]> {
        None
    }
}

#[derive(Serialize)]
struct Document<'a, R> {
    schema: String,
    #[serde(flatten)]
    report: &'a R,
}

fn schema_of<R: Report>() -> String {
    format!("git-receipt/{}/1", R::NAME)
}

/// One document.
///
/// # Errors
/// Never in practice: every report has a JSON form.
pub fn json<R: Report>(report: &R) -> anyhow::Result<String> {
    let document = Document { schema: schema_of::<R>(), report };
    let mut json = serde_json::to_string(&document)?;
    // A long document is not copied for nothing.
    if json.chars().any(super::ui::is_hidden) {
        json = escape_invisible(&json);
    }
    json.push('\n');
    Ok(json)
}

/// Writes characters that could steer a terminal or reorder text as JSON escapes; they occur in strings only.
pub fn escape_invisible(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        if super::ui::is_hidden(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(c);
        }
    }
    escaped
}

/// One object a line: the elements of the report's list, or the report itself where it has none.
///
/// # Errors
/// Never in practice: every report has a JSON form.
pub fn json_lines<R: Report>(report: &R) -> anyhow::Result<String> {
    let value = serde_json::to_value(report)?;
    let list = R::LISTS.iter().find_map(|name| match &value[name] {
        Value::Array(list) => Some(list.clone()),
        _ => None,
    });
    let mut text = String::new();
    for item in list.unwrap_or_else(|| vec![value]) {
        let document = match item {
            Value::Object(mut object) => {
                object.insert("schema".into(), schema_of::<R>().into());
                Value::Object(object)
            }
            other => other,
        };
        text.push_str(&escape_invisible(&serde_json::to_string(&document)?));
        text.push('\n');
    }
    Ok(text)
}
