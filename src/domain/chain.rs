//! The link rule: what one entry must be by itself, and what it must be after another.

use super::checked::{Checked, Signed, Tag};
use super::commit::{self, Parts};
use super::entry::{Body, BodyError, ReadBody, Tip};
use super::fact::Fact;
use super::finding::{Code, Finding};
use super::ids::{ChainId, Digest, EntryRef, KeyId, Oid};
use super::sshsig::{self, SignatureError, Verifier};

/// One commit of a chain after it was looked at by itself: decoded where that was possible, with all that is
/// wrong with it.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The commit.
    pub commit: Oid,
    /// Its parents, as its headers name them.
    pub parents: Vec<Oid>,
    /// Author name and address.
    pub ident: (String, String),
    /// What was read of it; nothing when the body could not be read.
    pub entry: Option<SignedEntry>,
    /// What is wrong with it, as far as it can be seen alone.
    pub findings: Vec<Finding>,
}

/// A body with its digest and whether its signature held.
#[derive(Debug, Clone, PartialEq)]
pub struct SignedEntry {
    /// The body.
    pub body: Body,
    /// The digest of its bytes.
    pub digest: Digest,
    /// Whether the signature is strictly valid and by the key that the body names.
    pub signed: bool,
    /// Data fields that this version does not know.
    pub unknown_fields: Vec<String>,
}

impl SignedEntry {
    /// Chain, seq and digest.
    pub fn reference(&self) -> EntryRef {
        EntryRef { chain: self.body.chain, seq: self.body.seq, digest: self.digest }
    }
}

impl Link {
    /// Chain, seq and digest, where the body could be read.
    pub fn reference(&self) -> Option<EntryRef> {
        self.entry.as_ref().map(SignedEntry::reference)
    }

    /// What the next entry links to, where the body could be read.
    pub fn tip(&self) -> Option<Tip> {
        let entry = self.entry.as_ref()?;
        Some(Tip { entry: entry.reference(), commit: self.commit, time: entry.body.time })
    }

    /// A finding about this entry.
    pub fn finding(&self, code: Code, message: impl Into<String>) -> Finding {
        let body = self.entry.as_ref().map(|entry| &entry.body);
        Finding {
            code,
            chain: body.map(|body| body.chain),
            seq: body.map(|body| body.seq),
            commit: Some(self.commit),
            receipt: body.and_then(|body| body.receipt),
            message: message.into(),
        }
    }
}

/// Looks at commits by themselves, and keeps what helps with the next.
#[derive(Default)]
pub struct Inspector<'c> {
    /// Prepared keys.
    keys: Vec<Verifier>,
    /// Signatures that need not be checked again.
    checked: Option<&'c Checked>,
    /// Those that were checked now, and hold.
    fresh: Vec<Tag>,
}

impl<'c> Inspector<'c> {
    /// One that leaves out checks which were made before.
    pub fn knowing(checked: Option<&'c Checked>) -> Self {
        Inspector { checked, ..Default::default() }
    }

    /// What to remember of the signatures that were checked, and hold.
    pub fn into_fresh(self) -> Vec<Tag> {
        self.fresh
    }

    /// Looks at one commit: layout, body, signature, and that every byte follows from them.
    pub fn inspect(&mut self, commit: Oid, bytes: &[u8]) -> Link {
        inspect(commit, bytes, self)
    }

    /// What is wrong with a signature over `body`, which has this digest and names its signer.
    fn check(
        &mut self,
        armour: &str,
        body: &[u8],
        digest: &Digest,
        signer: &KeyId,
    ) -> Option<(Code, String)> {
        let tag = match self.checked.map(|checked| checked.holds(&Signed { signer, digest, armour })) {
            Some(Ok(())) => return None,
            Some(Err(tag)) => Some(tag),
            None => None,
        };
        match sshsig::verify(armour, body, &mut self.keys) {
            Ok(key) if key.id() == signer => {
                self.fresh.extend(tag);
                None
            }
            Ok(key) => Some((Code::WrongKey, format!("`signer` names `{signer}`, signed by `{}`", key.id()))),
            Err(error @ SignatureError::Envelope(_)) => Some((Code::BadEnvelope, error.to_string())),
            Err(error) => Some((Code::BadSignature, error.to_string())),
        }
    }
}

fn inspect(commit: Oid, bytes: &[u8], inspector: &mut Inspector<'_>) -> Link {
    let mut link =
        Link { commit, parents: Vec::new(), ident: Default::default(), entry: None, findings: Vec::new() };
    let layout = match commit::parse(bytes) {
        Ok(layout) => layout,
        Err(problem) => {
            link.findings.push(link.finding(Code::BadLayout, problem));
            return link;
        }
    };
    link.parents = layout.parents;
    link.ident = (layout.name.to_owned(), layout.email.to_owned());
    let ReadBody { body, unknown_fields } = match Body::read(layout.body) {
        Ok(read) => read,
        Err(error) => {
            let code = if matches!(error, BodyError::Data { .. }) { Code::BadData } else { Code::BadBody };
            link.findings.push(link.finding(code, error.to_string()));
            return link;
        }
    };
    let subject = body.subject();
    let expected = commit::encode(
        &Parts {
            parents: &link.parents,
            name: layout.name,
            email: layout.email,
            time: body.time,
            subject: &subject,
            body: layout.body,
            armour: layout.armour,
        },
        commit.empty_tree(),
    );
    let digest = Digest::of(layout.body);
    let verdict = inspector.check(layout.armour, layout.body, &digest, &body.signer);
    link.entry = Some(SignedEntry { body, digest, signed: verdict.is_none(), unknown_fields });
    if let Some((code, message)) = verdict {
        link.findings.push(link.finding(code, message));
    }
    if expected != bytes {
        let same = expected.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
        let message = format!("commit differs at byte {same} from what its body, signature and links give");
        link.findings.push(link.finding(Code::BadCommit, message));
    }
    link
}

/// What stands before an entry in its chain.
#[derive(Debug, Clone, Copy)]
pub enum Before<'a> {
    /// Nothing: the entry opens its chain.
    Nothing,
    /// Another entry.
    Entry(&'a Link),
    /// Something that is not here, which whoever reads objects reports.
    NotHere,
}

/// Checks an entry against what stands before it and the entries it cites.
///
/// `cited` finds the entry of a parent commit, if it is here.
pub fn check_link<'a>(
    link: &'a Link,
    before: Before<'_>,
    cited: impl Fn(&Oid) -> Option<&'a Link>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let Some(entry) = &link.entry else { return findings };
    let body = &entry.body;
    let mut say = |code, message: String| findings.push(link.finding(code, message));

    match before {
        Before::Nothing => check_opening(link, body, &mut say),
        Before::NotHere => {}
        Before::Entry(before) => {
            // Where the entry before cannot be read, that is said there.
            if let Some(previous) = &before.entry {
                check_successor(body, previous, &mut say);
            }
            if link.ident != before.ident {
                say(Code::WrongAuthor, "author differs from that of the entry before".into());
            }
        }
    }
    check_citations(link, body, !matches!(before, Before::Nothing), cited, &mut say);
    findings
}

fn check_opening(link: &Link, body: &Body, say: &mut impl FnMut(Code, String)) {
    if body.seq != 0 {
        say(Code::WrongSeq, format!("has no parents and seq {}, not 0", body.seq));
    }
    if body.prev.is_some() {
        say(Code::WrongPrev, "has no parents and a `prev` that is not null".into());
    }
    if !body.cites.is_empty() {
        say(Code::BadCitation, "entry 0 cites".into());
    }
    let Fact::ChainOpened(opened) = &body.fact else {
        return say(Code::BadOpening, format!("chain starts with `{}`", body.fact.kind()));
    };
    match opened.public_key.parse::<ssh_key::PublicKey>() {
        Ok(key)
            if ssh_key::PublicKey::from(key.key_data().clone()).to_openssh().ok().as_deref()
                != Some(opened.public_key.as_str()) =>
        {
            say(Code::BadOpening, "`public_key` is not an OpenSSH line without comment".into());
        }
        Ok(key) if KeyId::of(&key) != body.signer => {
            say(Code::WrongKey, "`public_key` is not the key that signs the chain".into());
        }
        Ok(_) => {}
        Err(error) => say(Code::BadOpening, format!("`public_key`: {error}")),
    }
    let expected = (commit::clean_ident(&opened.name), commit::clean_ident(&opened.email));
    if link.ident != expected {
        say(Code::WrongAuthor, "author is not `name` and `email` of the opening".into());
    }
}

fn check_successor(body: &Body, previous: &SignedEntry, say: &mut impl FnMut(Code, String)) {
    let before = &previous.body;
    if body.seq != before.seq + 1 {
        say(Code::WrongSeq, format!("seq {} follows seq {}", body.seq, before.seq));
    }
    match body.prev {
        Some(prev) if prev == previous.digest => {}
        Some(prev) => {
            say(Code::WrongPrev, format!("`prev` is `{prev}`, the entry before `{}`", previous.digest))
        }
        None => say(Code::WrongPrev, "`prev` is null after another entry".into()),
    }
    if body.chain != before.chain {
        say(Code::WrongChain, format!("names chain `{}` after an entry of `{}`", body.chain, before.chain));
    }
    if body.repo != before.repo {
        say(Code::WrongRepo, format!("names project `{}` after `{}`", body.repo, before.repo));
    }
    if body.signer != before.signer {
        say(Code::WrongKey, format!("signed by `{}` in a chain of `{}`", body.signer, before.signer));
    }
    if body.time < before.time {
        say(Code::TimeBackwards, format!("time {} after {}", body.time, before.time));
    }
    if matches!(body.fact, Fact::ChainOpened(_)) {
        say(Code::BadOpening, "a chain is opened once, at seq 0".into());
    }
    if matches!(before.fact, Fact::ChainClosed(_)) {
        say(Code::AfterClosing, "follows the closing of its chain".into());
    }
    if let Fact::ChainClosed(closed) = &body.fact
        && closed.entries != body.seq + 1
    {
        say(Code::AfterClosing, format!("closing counts {} entries at seq {}", closed.entries, body.seq));
    }
}

fn check_citations<'a>(
    link: &Link,
    body: &Body,
    follows: bool,
    cited: impl Fn(&Oid) -> Option<&'a Link>,
    say: &mut impl FnMut(Code, String),
) {
    let expected = body.cites.len() + usize::from(follows);
    if link.parents.len() != expected {
        let message = format!("{} parents where links and citations make {expected}", link.parents.len());
        say(Code::WrongParents, message);
    }
    for (index, cite) in body.cites.iter().enumerate() {
        if cite.chain == body.chain {
            say(Code::BadCitation, "cites its own chain".into());
        }
        if body.cites[..index].contains(cite) {
            say(Code::BadCitation, format!("cites `{}@{}` twice", cite.chain, cite.seq));
        }
        // A missing parent object is reported by whoever reads objects.
        let Some(target) = link.parents.get(index + usize::from(follows)).and_then(&cited) else { continue };
        if target.reference() != Some(*cite) {
            let message = format!("parent {} is not the cited `{}@{}`", index + 1, cite.chain, cite.seq);
            say(Code::BadCitation, message);
        }
    }
    for cite in body.fact.citations() {
        if cite.chain != body.chain && !body.cites.contains(&cite) {
            let message = format!("data cites `{}@{}`, which is not among `cites`", cite.chain, cite.seq);
            say(Code::BadCitation, message);
        }
        if cite.chain == body.chain && cite.seq >= body.seq {
            say(Code::BadCitation, format!("data cites its own chain at seq {}", cite.seq));
        }
    }
}

/// Checks that the entry stands in the chain that its ref is named for.
pub fn check_ref(link: &Link, chain: ChainId) -> Option<Finding> {
    let named = link.entry.as_ref()?.body.chain;
    (named != chain).then(|| {
        link.finding(Code::WrongChain, format!("stands under the ref of `{chain}` and names `{named}`"))
    })
}
