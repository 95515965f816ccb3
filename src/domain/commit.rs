//! The commit object of an entry, byte for byte.
//!
//! Every byte follows from body, signature and links: [`encode`] writes the one form, [`parse`] takes a commit
//! apart leniently, and a reader compares the two, so nothing in a commit goes unsigned or unchecked.

use super::ids::{Oid, Timestamp};

const BEGIN: &[u8] = b"-----BEGIN SSH SIGNATURE-----\n";

/// What a commit of an entry is made of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parts<'a> {
    /// The previous entry's commit, then those of the cited entries.
    pub parents: &'a [Oid],
    /// Author and committer name, cleaned.
    pub name: &'a str,
    /// Author and committer address, cleaned.
    pub email: &'a str,
    /// The entry's time; the commit has its whole seconds.
    pub time: Timestamp,
    /// `<kind>: <title>`.
    pub subject: &'a str,
    /// The canonical body.
    pub body: &'a [u8],
    /// The signature's armour, BEGIN to END line.
    pub armour: &'a str,
}

/// Writes the content of the commit object; `empty_tree` is git's empty tree in the repository's hash.
pub fn encode(parts: &Parts<'_>, empty_tree: Oid) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(parts.body.len() + 700);
    bytes.extend_from_slice(b"tree ");
    bytes.extend_from_slice(empty_tree.to_hex().as_bytes());
    for parent in parts.parents {
        bytes.extend_from_slice(b"\nparent ");
        bytes.extend_from_slice(parent.to_hex().as_bytes());
    }
    for role in ["author", "committer"] {
        let ident = format!("\n{role} {} <{}> {} +0000", parts.name, parts.email, parts.time.unix_seconds());
        bytes.extend_from_slice(ident.as_bytes());
    }
    bytes.extend_from_slice(b"\n\n");
    bytes.extend_from_slice(parts.subject.as_bytes());
    bytes.extend_from_slice(b"\n\n");
    bytes.extend_from_slice(parts.body);
    bytes.extend_from_slice(b"\n\n");
    bytes.extend_from_slice(parts.armour.as_bytes());
    bytes
}

/// A commit taken apart, nothing about it believed yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout<'a> {
    /// The parents that its headers name.
    pub parents: Vec<Oid>,
    /// The author's name.
    pub name: &'a str,
    /// The author's address.
    pub email: &'a str,
    /// The third line of the message.
    pub body: &'a [u8],
    /// Everything from the BEGIN line on.
    pub armour: &'a str,
}

/// Takes a commit object's content apart.
///
/// # Errors
/// Says which part is missing.
pub fn parse(bytes: &[u8]) -> Result<Layout<'_>, &'static str> {
    let split = find(bytes, b"\n\n").ok_or("no blank line after the headers")?;
    let (headers, message) = (&bytes[..split], &bytes[split + 2..]);
    let mut parents = Vec::new();
    let mut author = None;
    for line in headers.split(|b| *b == b'\n') {
        if let Some(id) = line.strip_prefix(b"parent ") {
            let id = std::str::from_utf8(id).ok().and_then(Oid::from_hex).ok_or("malformed parent header")?;
            parents.push(id);
        } else if let Some(ident) = line.strip_prefix(b"author ")
            && author.is_none()
        {
            author = Some(std::str::from_utf8(ident).map_err(|_| "author is not UTF-8")?);
        }
    }
    let author = author.ok_or("no author header")?;
    let (name, rest) = author.split_once(" <").ok_or("malformed author header")?;
    let (email, _) = rest.split_once('>').ok_or("malformed author header")?;

    let subject_end = find(message, b"\n\n").ok_or("message has no blank line after its subject")?;
    let rest = &message[subject_end + 2..];
    let body_end = find(rest, b"\n\n").ok_or("message has no blank line after its body")?;
    let (body, armour) = (&rest[..body_end], &rest[body_end + 2..]);
    if body.contains(&b'\n') {
        return Err("body is not one line");
    }
    if !armour.starts_with(BEGIN) {
        return Err("message has no signature after its body");
    }
    let armour = std::str::from_utf8(armour).map_err(|_| "signature is not text")?;
    Ok(Layout { parents, name, email, body, armour })
}

fn find(haystack: &[u8], needle: &[u8; 2]) -> Option<usize> {
    haystack.windows(2).position(|pair| pair == needle)
}

/// A name or address as it may stand in a commit's headers: without `<`, `>` and control characters, then
/// without outer spaces.
pub fn clean_ident(text: &str) -> String {
    let kept: String = text.chars().filter(|c| !matches!(c, '<' | '>') && !c.is_control()).collect();
    kept.trim_matches(' ').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_apart_again() {
        let parents = [Oid::Sha1([1; 20]), Oid::Sha1([2; 20])];
        let armour = "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n";
        let parts = Parts {
            parents: &parents,
            name: "Ann Example",
            email: "ann@example.com",
            time: Timestamp::from_unix_ms(1_763_692_560_999),
            subject: "remark.made: ",
            body: b"{}",
            armour,
        };
        let bytes = encode(&parts, Oid::Sha1([0; 20]).empty_tree());
        let layout = parse(&bytes).unwrap();
        assert_eq!(layout.parents, parents);
        assert_eq!((layout.name, layout.email), (parts.name, parts.email));
        assert_eq!((layout.body, layout.armour), (parts.body, armour));
        assert!(bytes.starts_with(b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nparent 0101"));
    }

    #[test]
    fn names_lose_what_would_break_a_header() {
        assert_eq!(clean_ident(" <Ann>\n Example\u{7f} "), "Ann Example");
    }
}
