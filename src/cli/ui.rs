//! Streams for people: results to standard output, talk to standard error, foreign text defused.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use anstyle::{AnsiColor, Style};

use crate::domain::invisible::{self, is_invisible, is_odd_space};

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum, Default)]
pub enum ColorChoice {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();
const WARN: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Text of a result, built up line by line.
pub struct Text {
    buffer: String,
    color: bool,
}

impl Text {
    /// An empty text.
    pub fn new(color: bool) -> Self {
        Text { buffer: String::new(), color }
    }

    /// Adds a line of our own words; foreign parts go through [`safe`] first.
    pub fn line(&mut self, line: impl AsRef<str>) {
        self.buffer.push_str(line.as_ref().trim_end());
        self.buffer.push('\n');
    }

    /// Adds a line whose spaces at the end count.
    pub fn exact(&mut self, line: impl AsRef<str>) {
        self.buffer.push_str(line.as_ref());
        self.buffer.push('\n');
    }

    /// Our own words in a style.
    pub fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("{style}{text}{style:#}") } else { text.to_owned() }
    }

    /// Something good.
    pub fn good(&self, text: &str) -> String {
        self.paint(GOOD, text)
    }

    /// Something bad.
    pub fn bad(&self, text: &str) -> String {
        self.paint(BAD, text)
    }

    /// Something to look at.
    pub fn warn(&self, text: &str) -> String {
        self.paint(WARN, text)
    }

    /// Something of less weight.
    pub fn dim(&self, text: &str) -> String {
        self.paint(DIM, text)
    }

    /// A heading.
    pub fn bold(&self, text: &str) -> String {
        self.paint(BOLD, text)
    }

    /// The lines of a unified diff, each behind `indent`.
    pub fn patch(&mut self, patch: &str, indent: &str) {
        let shown = patch_bytes(patch.trim_end_matches('\n').as_bytes(), self.color, true);
        for line in String::from_utf8_lossy(&shown).lines() {
            self.exact(format!("{indent}{line}"));
        }
    }

    /// The text.
    pub fn into_string(self) -> String {
        self.buffer
    }
}

/// Escapes what would steer a terminal, reorder text or hide in it: control characters, bidirectional and invisible
/// ones, and spaces that are no ordinary ones. U+FE0F stays where it turns a symbol into an emoji, since that is seen.
pub fn safe(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for (c, invisible) in invisible::chars(text) {
        match escaped(c) {
            Some(escape) if invisible || !is_invisible(c) => shown.push_str(&escape),
            _ => shown.push(c),
        }
    }
    shown
}

/// What stands for a character that [`safe`] escapes; none where it may be shown as it is.
pub fn escaped(c: char) -> Option<String> {
    match c {
        '\n' => Some("\\n".into()),
        '\t' => Some("\\t".into()),
        '\r' => Some("\\r".into()),
        c if is_hidden(c) => Some(escape(c)),
        _ => None,
    }
}

/// Whether a character steers, hides, or passes for a space.
pub fn is_hidden(c: char) -> bool {
    c.is_control() || is_invisible(c) || is_odd_space(c)
}

/// A character by its number.
pub fn escape(c: char) -> String {
    format!("\\u{{{:x}}}", u32::from(c))
}

/// As [`safe`], but lines stay lines.
pub fn safe_lines(text: &str) -> String {
    text.split('\n').map(|line| safe(line.strip_suffix('\r').unwrap_or(line))).collect::<Vec<_>>().join("\n")
}

/// Writes a result to standard output. A reader that went away is no error.
///
/// # Errors
/// When standard output cannot be written for any other reason.
pub fn print(text: &str) -> io::Result<()> {
    print_bytes(text.as_bytes())
}

/// Writes bytes of strangers as they are, but on a terminal without what would steer it.
///
/// # Errors
/// As [`print()`].
pub fn print_foreign(bytes: &[u8]) -> io::Result<()> {
    use std::io::IsTerminal as _;
    if !io::stdout().is_terminal() {
        return print_bytes(bytes);
    }
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<String> = text.split('\n').map(safe_but_tabs).collect();
    print(&lines.join("\n"))
}

/// As [`safe`], but tabs stay.
fn safe_but_tabs(text: &str) -> String {
    text.split('\t').map(safe).collect::<Vec<_>>().join("\t")
}

/// A unified diff as bytes for standard output: as it is, so that `git apply` takes it, and for a terminal without what
/// would steer that.
pub fn patch_bytes(patch: &[u8], color: bool, terminal: bool) -> Vec<u8> {
    if !color && !terminal {
        return patch.to_vec();
    }
    let (mut shown, mut styles) = (Vec::with_capacity(patch.len()), PatchStyles::default());
    for line in patch.split_inclusive(|byte| *byte == b'\n') {
        let (text, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |text| (text, b"\n"));
        let style = styles.of(text).filter(|_| color);
        shown.extend(style.iter().flat_map(|style| style.to_string().into_bytes()));
        match terminal {
            true => shown.extend(safe_but_tabs(&String::from_utf8_lossy(text)).into_bytes()),
            false => shown.extend_from_slice(text),
        }
        shown.extend(style.iter().flat_map(|style| format!("{style:#}").into_bytes()));
        shown.extend_from_slice(end);
    }
    shown
}

/// How the lines of a unified diff look, told one after the other.
#[derive(Default)]
struct PatchStyles {
    /// Whether the lines are those of a file: what begins with `---` there is a line that goes, and no header.
    content: bool,
}

impl PatchStyles {
    fn of(&mut self, line: &[u8]) -> Option<Style> {
        self.content &= !line.starts_with(b"diff ");
        match line.first() {
            Some(b'@') => {
                self.content = true;
                Some(DIM)
            }
            _ if !self.content => Some(BOLD),
            Some(b'+') => Some(GOOD),
            Some(b'-') => Some(BAD),
            _ => None,
        }
    }
}

/// As [`print()`], for bytes that are no text.
///
/// # Errors
/// As [`print()`].
pub fn print_bytes(bytes: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Shows a result through git's own pager, or prints it where there is none or `cat`.
///
/// # Errors
/// As [`print()`].
pub fn page(text: &str) -> io::Result<()> {
    let asked = Command::new("git").args(["var", "GIT_PAGER"]).stderr(Stdio::null()).output();
    let pager =
        asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default();
    if pager.is_empty() || pager == "cat" {
        return print(text);
    }
    let mut command = Command::new("sh");
    command.args(["-c", &pager]).stdin(Stdio::piped());
    // git sets these where they are unset: quit if it fits, pass colours on, do not clear the screen.
    for (name, value) in [("LESS", "FRX"), ("LV", "-c")] {
        if std::env::var_os(name).is_none() {
            command.env(name, value);
        }
    }
    let Ok(mut child) = command.spawn() else { return print(text) };
    if let Some(mut stdin) = child.stdin.take() {
        match stdin.write_all(text.as_bytes()) {
            // Quitting the pager early is how people read.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
            other => other?,
        }
    }
    child.wait().map(drop)
}

/// Says something to the person as it is, without ending the line: a question, say.
///
/// # Errors
/// When standard error cannot be written.
pub fn ask(text: &str) -> io::Result<()> {
    let mut out = io::stderr().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush())
}

/// Says something to the person, beside the result.
pub fn talk(kind: &str, text: &str) {
    // With standard error closed there is nobody to talk to.
    let _ = writeln!(io::stderr().lock(), "{kind}: {text}");
}

/// Asks the person for a yes. Everything else is a no, the end of input too.
///
/// # Errors
/// When there is nobody to ask after all.
pub fn confirm(question: &str) -> io::Result<bool> {
    let mut err = io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_steer_a_terminal() {
        assert_eq!(safe("a\u{1b}[31mb\nc\u{202e}d\u{200b}"), "a\\u{1b}[31mb\\nc\\u{202e}d\\u{200b}");
        assert_eq!(safe("plain – ünïcode 漢字 🎉"), "plain – ünïcode 漢字 🎉");
        assert_eq!(safe_lines("one\r\ntwo\u{7}"), "one\ntwo\\u{7}");
        let patch =
            b"--- a/f\t\n+++ b/f\t\n@@ -1 +1 @@\n--- \tx\r\n++\x1b[1m\xff\ndiff --git a/g b/g\n--- a/g\n";
        assert_eq!(patch_bytes(patch, false, false), patch);
        assert_eq!(
            String::from_utf8(patch_bytes(patch, false, true)).unwrap(),
            "--- a/f\t\n+++ b/f\t\n@@ -1 +1 @@\n--- \tx\\r\n++\\u{1b}[1m\u{fffd}\ndiff --git a/g b/g\n--- a/g\n"
        );
        let colored = String::from_utf8_lossy(&patch_bytes(patch, true, false)).into_owned();
        let shown = |style: Style, line: &str| colored.contains(&format!("{style}{line}{style:#}\n"));
        assert!(
            shown(BOLD, "--- a/f\t") && shown(BOLD, "+++ b/f\t") && shown(BOLD, "--- a/g"),
            "{colored:?}"
        );
        assert!(shown(BAD, "--- \tx\r") && shown(GOOD, "++\u{1b}[1m\u{fffd}"), "{colored:?}");
    }

    #[test]
    fn nothing_hides_in_foreign_text() {
        let hidden =
            "\u{3164}\u{115f}\u{1160}\u{ffa0}\u{34f}\u{fe00}\u{e0100}\u{17b4}\u{2800}\u{a0}\u{2003}\u{3000}";
        for c in hidden.chars() {
            assert_eq!(safe(&format!("t{c}")), format!("t\\u{{{:x}}}", u32::from(c)));
        }
        // An emoji out of a symbol is seen; behind anything else the same selector is not.
        assert_eq!(safe("⚠\u{fe0f} ❤\u{fe0f}\u{fe0f}"), "⚠\u{fe0f} ❤\u{fe0f}\\u{fe0f}");
        assert_eq!(safe("x\u{fe0f}1\u{fe0f}🎉\u{fe0f}"), "x\\u{fe0f}1\\u{fe0f}🎉\\u{fe0f}");
        assert_eq!(safe("🧑\u{200d}🚀"), "🧑\\u{200d}🚀");
    }
}
