//! Where a path of a session is in the working tree.

use super::Options;
use crate::domain::fact::values::GitPath;
use crate::domain::ids::Oid;

/// What paths and blobs are resolved with.
pub(super) struct Scope<'a> {
    /// What the reader was given.
    pub options: Options<'a>,
    /// The top of the working tree, with `/` between its parts and none at its end.
    pub root: Option<String>,
}

/// A path as it goes into a fact.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Place {
    /// From the top of the working tree, or as it was given where it is elsewhere.
    pub path: GitPath,
    /// Whether it is inside the working tree.
    pub inside: bool,
}

impl<'a> Scope<'a> {
    /// Takes the given top, or else `first_directory`.
    pub fn new(options: Options<'a>, first_directory: Option<&str>) -> Self {
        let root = options.root.or(first_directory).map(|root| {
            let root = slashed(root);
            root.trim_end_matches('/').to_owned()
        });
        Scope { options, root }
    }

    /// Places `path`, which may be relative to `directory`.
    pub fn place(&self, path: &str, directory: Option<&str>) -> Place {
        let given = slashed(path);
        let absolute = match directory {
            Some(directory) if !is_absolute(&given) => {
                format!("{}/{given}", slashed(directory).trim_end_matches('/'))
            }
            _ => given.clone(),
        };
        let outside = || Place { path: GitPath::new(given.clone()), inside: false };
        let Some(parts) = plain_parts(&absolute) else { return outside() };
        if !is_absolute(&absolute) {
            // Relative to nobody knows what: kept, and no blob is claimed for it.
            return outside();
        }
        let below = self.root.as_deref().and_then(plain_parts).and_then(|root| {
            (parts.len() > root.len() && parts[..root.len()] == root[..])
                .then(|| parts[root.len()..].join("/"))
        });
        match below {
            Some(path) => Place { path: GitPath::new(path), inside: true },
            None => outside(),
        }
    }

    /// The id of a blob of `content` at `place`, unless such an id must not be stated.
    pub fn blob(&self, place: &Place, content: &str) -> Option<Oid> {
        let stated = place.inside && !(self.options.looks_secret)(place.path.as_bytes());
        stated.then(|| (self.options.blob_id)(content.as_bytes()))
    }
}

/// With `/` for `\` where the path is one of Windows.
fn slashed(path: &str) -> String {
    if has_drive(path) || path.starts_with("\\\\") { path.replace('\\', "/") } else { path.to_owned() }
}

fn has_drive(path: &str) -> bool {
    matches!(path.as_bytes(), [drive, b':', b'/' | b'\\', ..] if drive.is_ascii_alphabetic())
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') || has_drive(path)
}

/// The parts of a path; none where it climbs, so that nothing is said about where it ends up.
fn plain_parts(path: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    (!parts.contains(&"..")).then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::gates::GateTable;

    #[test]
    fn paths_are_taken_from_the_top() {
        let gates = GateTable::built_in();
        let zero = Oid::Sha1([0; 20]);
        let options = Options {
            gates: &gates,
            blob_id: &|_| zero,
            looks_secret: &|path| path == b".env",
            root: None,
            null_tree: zero,
        };
        let scope = Scope::new(options, Some("/w/app/"));
        let shown = |path: &str, directory: Option<&str>| {
            let place = scope.place(path, directory);
            (place.path.to_string(), scope.blob(&place, "x").is_some())
        };
        assert_eq!(shown("/w/app/src/./a.rs", None), ("src/a.rs".into(), true));
        assert_eq!(shown("a.rs", Some("/w/app/src")), ("src/a.rs".into(), true));
        assert_eq!(shown("a.rs", None), ("a.rs".into(), false));
        assert_eq!(shown("/w/application/a.rs", None), ("/w/application/a.rs".into(), false));
        assert_eq!(shown("/w/app/../b", None), ("/w/app/../b".into(), false));
        assert_eq!(shown("/w/app", None), ("/w/app".into(), false));
        assert_eq!(shown("/w/app/.env", None), (".env".into(), false));
        let windows = Scope::new(Options { root: Some("C:\\w\\app"), ..options }, None);
        assert_eq!(windows.place("C:\\w\\app\\src\\a.rs", None).path.to_string(), "src/a.rs");
    }
}
