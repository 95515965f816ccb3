//! Just enough of the shell's grammar to tell whose exit code a command line ends with.
//!
//! Anything with substitutions, groups, here-documents or control words is not read at all: saying nothing is
//! better than giving one command's exit code to another.

/// How two pipelines are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Joint {
    /// `&&`
    And,
    /// `||`
    Or,
    /// `;` or the end of a line
    Then,
}

/// Commands joined by `|`, each as its words without redirections.
pub(super) type Pipeline = Vec<Vec<String>>;

/// A command line: pipelines, and what stands before each but the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Line {
    /// The pipelines.
    pub pipelines: Vec<Pipeline>,
    /// One joint less than pipelines.
    pub joints: Vec<Joint>,
    /// Whether some command's output goes to a file.
    pub redirected: bool,
}

/// The most bytes of a command line that are looked at.
const LONGEST: usize = 16 * 1024;

enum Token {
    Word(String),
    Pipe,
    Joint(Joint),
    ToFile,
}

/// Reads a command line; `None` when it holds more than plain commands.
pub(super) fn parse(text: &str) -> Option<Line> {
    let tokens = (text.len() <= LONGEST).then(|| tokens(text)).flatten()?;
    let mut line = Line::default();
    let mut pipeline = Pipeline::new();
    let mut command: Vec<String> = Vec::new();
    let mut unfinished = false;
    for token in tokens.into_iter().chain([Token::Joint(Joint::Then)]) {
        match token {
            Token::Word(word) => {
                if command.is_empty() && CONTROL.contains(&word.as_str()) {
                    return None;
                }
                command.push(word);
                unfinished = false;
            }
            Token::ToFile => line.redirected = true,
            Token::Pipe => {
                if command.is_empty() {
                    return None;
                }
                pipeline.push(std::mem::take(&mut command));
                unfinished = true;
            }
            Token::Joint(joint) => {
                if command.is_empty() {
                    // An empty line, or a line that goes on after an operator.
                    if joint == Joint::Then && !unfinished {
                        continue;
                    }
                    return None;
                }
                pipeline.push(std::mem::take(&mut command));
                line.pipelines.push(std::mem::take(&mut pipeline));
                line.joints.push(joint);
                unfinished = joint != Joint::Then;
            }
        }
    }
    (line.joints.pop() == Some(Joint::Then)).then_some(line)
}

/// Words that make more than a plain command of what follows.
const CONTROL: &[&str] = &[
    "!", "{", "}", "if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac",
    "function", "select", "[[", "coproc", "eval", "trap", "exit", "return",
];

fn tokens(text: &str) -> Option<Vec<Token>> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '\'' => break,
                        other => word.push(other),
                    }
                }
            }
            '"' => {
                let word = word.get_or_insert_default();
                loop {
                    match chars.next()? {
                        '"' => break,
                        '`' => return None,
                        '$' if chars.peek() == Some(&'(') => return None,
                        '\\' => match chars.next()? {
                            '\n' => {}
                            escaped @ ('"' | '\\' | '$' | '`') => word.push(escaped),
                            other => word.extend(['\\', other]),
                        },
                        other => word.push(other),
                    }
                }
            }
            '\\' => match chars.next()? {
                '\n' => {}
                other => word.get_or_insert_default().push(other),
            },
            '`' | '(' | ')' => return None,
            '#' if word.is_none() => while chars.next_if(|c| *c != '\n').is_some() {},
            '>' | '<' => {
                // A number right before belongs to the redirection.
                let number = word.take_if(|word| word.bytes().all(|b| b.is_ascii_digit()));
                tokens.extend(word.take().map(Token::Word));
                let to_file = c == '>' && number.is_none_or(|n| n == "1") && chars.peek() != Some(&'&');
                if c == '<' && matches!(chars.peek(), Some('<' | '(')) || !redirection(&mut chars)? {
                    return None;
                }
                tokens.extend(to_file.then_some(Token::ToFile));
            }
            '&' if chars.next_if_eq(&'&').is_some() => {
                tokens.extend(word.take().map(Token::Word));
                tokens.push(Token::Joint(Joint::And));
                skip_blank(&mut chars);
            }
            '&' if chars.next_if_eq(&'>').is_some() => {
                tokens.extend(word.take().map(Token::Word));
                if !redirection(&mut chars)? {
                    return None;
                }
                tokens.push(Token::ToFile);
            }
            '&' => return None,
            '|' => {
                tokens.extend(word.take().map(Token::Word));
                if chars.next_if_eq(&'|').is_some() {
                    tokens.push(Token::Joint(Joint::Or));
                } else {
                    let _both = chars.next_if_eq(&'&');
                    tokens.push(Token::Pipe);
                }
                skip_blank(&mut chars);
            }
            ';' | '\n' => {
                tokens.extend(word.take().map(Token::Word));
                if c == ';' && chars.peek() == Some(&';') {
                    return None;
                }
                tokens.push(Token::Joint(Joint::Then));
            }
            c if c.is_whitespace() => tokens.extend(word.take().map(Token::Word)),
            '$' if chars.peek() == Some(&'(') => return None,
            c => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.take().map(Token::Word));
    Some(tokens)
}

/// White space and line ends after an operator.
fn skip_blank(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    while chars.next_if(|c| c.is_whitespace()).is_some() {}
}

/// Takes the rest of a redirection, with its target; false when it is not a plain one.
fn redirection(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<bool> {
    let _append = chars.next_if_eq(&'>');
    if chars.next_if_eq(&'&').is_none() {
        while chars.next_if(|c| *c == ' ' || *c == '\t').is_some() {}
    }
    let mut any = false;
    while let Some(c) = chars.next_if(|c| !c.is_whitespace() && !";|&<>()`".contains(*c)) {
        any = true;
        match c {
            '\'' | '"' => while chars.next()? != c {},
            '\\' => drop(chars.next()?),
            _ => {}
        }
    }
    Some(any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let Some(line) = parse(text) else { return "-".into() };
        let mut shown = String::new();
        for (index, pipeline) in line.pipelines.iter().enumerate() {
            if index > 0 {
                shown.push_str(match line.joints[index - 1] {
                    Joint::And => " && ",
                    Joint::Or => " || ",
                    Joint::Then => " ; ",
                });
            }
            let commands: Vec<_> = pipeline.iter().map(|words| words.join("_")).collect();
            shown.push_str(&commands.join(" | "));
        }
        shown
    }

    #[test]
    fn plain_lines_are_read() {
        assert_eq!(
            shown("cd \"a b\" && RUST_LOG=x cargo test -- 'x y' 2>&1"),
            "cd_a b && RUST_LOG=x_cargo_test_--_x y"
        );
        assert_eq!(shown("cargo test 2>&1 | tail -5; echo done > log"), "cargo_test | tail_-5 ; echo_done");
        assert_eq!(shown("a &&\n  b || c\n# no\nd\n"), "a && b || c ; d");
        assert_eq!(shown("make \\\n test &> out.txt"), "make_test");
        assert_eq!(shown("a 2>/dev/null"), "a");
        assert!(!parse("a 2>/dev/null 2>&1").unwrap().redirected);
        assert!(parse("a >log").unwrap().redirected && parse("a &>> log").unwrap().redirected);
    }

    #[test]
    fn more_than_plain_commands_is_not_read() {
        for text in [
            "x=$(cargo test)",
            "cargo test &",
            "(cargo test)",
            "if a; then b; fi",
            "! cargo test",
            "a `b`",
            "cat <<EOF\nx\nEOF",
            "echo \"$(b)\"",
            "'open",
            "a |",
            "&& a",
            "a && ; b",
            "cargo test; exit 0",
            "a >",
        ] {
            assert_eq!(shown(text), "-", "{text}");
        }
    }
}
