//! Pinned bytes of the format: one entry of every kind under both object formats, by a fixed key and clock.
//!
//! The file only ever grows. `GIT_RECEIPT_WRITE_VECTORS=1 cargo test --test vectors` writes it anew after a kind
//! was added; a changed line of what was there is a broken promise.

use std::collections::BTreeMap;

use git_receipt::domain::canonical;
use git_receipt::domain::chain::{self, Before, Inspector};
use git_receipt::domain::commit::{self, Parts};
use git_receipt::domain::entry::{Body, Draft, Tip, Writer};
use git_receipt::domain::fact::{Fact, KINDS};
use git_receipt::domain::ids::{ChainId, Digest, EntryRef, KeyId, Oid, ReceiptId, Timestamp};
use git_receipt::domain::sshsig;
use serde_json::{Value, json};
use ssh_key::PrivateKey;
use ssh_key::private::Ed25519Keypair;

const CHAIN: &str = "01KAHQ3V5T0000000000000001";
const OTHER: &str = "01KAHQ3V5T0000000000000002";
const RECEIPT: &str = "01KAHQ3V5T000000000000000R";
const TIME: i64 = 1_763_692_560_123;

fn key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))
}

fn oid(sha256: bool, byte: u8) -> Oid {
    if sha256 { Oid::Sha256([byte; 32]) } else { Oid::Sha1([byte; 20]) }
}

/// Data of each kind with every field that it can have.
fn data(sha256: bool) -> BTreeMap<&'static str, Value> {
    let id = |byte| json!(oid(sha256, byte));
    let cited = json!({"chain": OTHER, "seq": 4, "digest": Digest::of(b"cited")});
    let detached = json!({
        "artifact": Digest::of(b"artifact"), "oid": id(9), "bytes": 48213, "media": "text/plain",
        "head": "first words", "redactions": 2, "truncated": true,
    });
    let proposal = |revision: u64, replaces: Option<&Value>| {
        let mut data = json!({
            "revision": revision, "base": {"commit": id(1), "tree": id(2)}, "tree": id(3),
            "target": "refs/heads/main",
            "lines": {"digest": Digest::of(b"lines"), "oid": id(4), "count": 7, "added": 3, "removed": 2,
                "mutated": 1, "moved": 1, "files": 2},
            "algorithm": "myers-1", "summary": "a change",
            "agent": {"tool": "claude-code", "version": "2.1.7", "model": "m", "id": "a1"},
        });
        if let Some(replaces) = replaces {
            data["replaces"] = replaces.clone();
        }
        data
    };
    BTreeMap::from([
        (
            "chain.opened",
            json!({
                "public_key": key().public_key().to_openssh().unwrap(), "name": "Ann Example",
                "email": "ann@example.com", "role": "human", "nonce": "000102030405060708090a0b0c0d0e0f",
                "tool": {"name": "git-receipt", "version": "0.1.0"}, "session": {"id": "s1", "source": "claude-code"},
                "continues": cited,
            }),
        ),
        ("chain.closed", json!({"entries": 2, "reason": "the job ended"})),
        ("chains.sealed", json!({})),
        ("heads.witnessed", json!({"heads": [cited]})),
        (
            "receipt.opened",
            json!({
                "task": {"text": "make it so"}, "summary": "make it so", "mode": "plan", "risk": "high",
                "base": {"commit": id(1), "tree": id(2), "branch": "main", "dirty": true}, "task_type": "bugfix",
                "agent": {"tool": "claude-code", "model": "m"}, "parent": OTHER, "forked_from": cited,
                "estimate": {"ms": 1_800_000, "by": "ann@example.com"}, "envelope": detached,
            }),
        ),
        (
            "tool.called",
            json!({
                "tool": "Edit", "call_id": "toolu_1", "input": detached, "output": {"text": "fine"}, "status": "ok",
                "exit_code": 0, "duration_ms": 812,
                "confirmation": {"decision": "accepted", "source": "user_temporary", "by": "ann"}, "step": "flexible",
                "files": [{"path": "src/a.rs", "change": "modified", "before": id(5), "after": id(6)},
                    {"path": {"b64": "/w=="}, "change": "added"}],
                "more_files": detached, "runtime": {"kind": "container", "id": "c1", "reused": true},
                "reason": "retried",
            }),
        ),
        (
            "retrieval.made",
            json!({
                "tool": "Grep", "query": {"text": "fn main"},
                "sources": [{"path": "src/a.rs", "uri": "https://example.com/", "oid": id(5), "lines": "10-24",
                    "score": 730_000}],
                "more_sources": detached,
            }),
        ),
        (
            "gate.checked",
            json!({
                "gate": "test", "command": ["cargo", "test", "--locked"], "exit_code": 101, "result": "failed",
                "duration_ms": 9_000, "output": detached, "tree": id(2), "dirty": false,
                "counts": {"passed": 11, "failed": 1, "skipped": 0}, "environment": {"text": "linux"},
            }),
        ),
        (
            "human.asked",
            json!({"question": {"text": "which?"}, "answer": {"text": "that"}, "wait_ms": 4_000}),
        ),
        ("guidance.given", json!({"form": "follow_up", "text": {"text": "and the docs"}})),
        ("memory.patched", json!({"target": "CLAUDE.md", "diff": {"text": "+ rule"}, "reason": "asked"})),
        (
            "usage.counted",
            json!({
                "model": "m", "input_tokens": 12, "output_tokens": 34, "cache_read_tokens": 56,
                "cache_write_tokens": 78, "cost": {"amount": "0.25", "currency": "USD"},
            }),
        ),
        ("snapshot.taken", json!({"label": "before", "worktree": id(2), "index": id(3)})),
        ("proposal.made", proposal(1, None)),
        ("proposal.revised", proposal(2, Some(&cited))),
        ("lines.accepted", json!({"proposal": cited, "lines": "1-4,7", "reason": "good"})),
        ("lines.rejected", json!({"proposal": cited, "lines": "5", "reason": "no"})),
        (
            "lines.applied",
            json!({
                "proposal": cited, "decisions": [cited], "lines": "1-4", "commit": id(1), "parent": id(2),
                "tree": id(3), "placed": {"digest": Digest::of(b"placed"), "oid": id(4)}, "conflicted": "6",
                "cost": {"amount": "12", "currency": "EUR"},
            }),
        ),
        (
            "receipt.closed",
            json!({
                "status": "failed", "output": {"text": "gave up"}, "summary": "gave up", "failure": "gate",
                "remaining": ["the docs"], "human_ms": 1, "agent_ms": 2, "edits_by_human": 3,
            }),
        ),
        (
            "commit.bound",
            json!({"commit": id(1), "tree": id(2), "parent_tree": id(3), "subject": "a change"}),
        ),
        ("commit.rebound", json!({"from": id(1), "to": id(2), "how": "cherry-pick"})),
        (
            "rollback.applied",
            json!({
                "of": OTHER, "lines": "1-2", "commit": id(1), "from_tree": id(2), "to_tree": id(3),
            }),
        ),
        (
            "replay.checked",
            json!({
                "of": OTHER, "form": "rerun", "result": "diverged", "detail": {"text": "exit code 1"},
            }),
        ),
        ("artifact.pruned", json!({"artifacts": [Digest::of(b"artifact")], "reason": "old"})),
        ("remark.made", json!({"text": {"text": "ünïcode \u{1f389} \"quoted\" \u{7f}\u{80}\t"}})),
    ])
}

/// Seals the fact of a kind in its place and tells everything that is pinned about it.
fn vector(kind: &str, sha256: bool) -> Value {
    let value = data(sha256).remove(kind).unwrap_or_else(|| panic!("no data for `{kind}`"));
    let read = Fact::read(kind, value.clone()).unwrap();
    assert!(read.unknown_fields.is_empty(), "{kind}: {:?}", read.unknown_fields);
    assert_eq!(read.fact.to_value().unwrap(), value, "{kind} says again what it read");
    let writer = Writer {
        repo: oid(sha256, 0xab),
        chain: CHAIN.parse().unwrap(),
        signer: KeyId::of(key().public_key()),
        name: "Ann Example".into(),
        email: "ann@example.com".into(),
    };
    let opens = kind == "chain.opened";
    let chain: ChainId = CHAIN.parse().unwrap();
    let tip = Tip {
        entry: EntryRef { chain, seq: 0, digest: Digest::of(b"entry before") },
        commit: oid(sha256, 0xcd),
        time: Timestamp::from_unix_ms(TIME),
    };
    let about_chain = read.fact.concerns_chain() == Some(true);
    let receipt: Option<ReceiptId> = (!about_chain).then(|| RECEIPT.parse().unwrap());
    let mut draft = Draft::new(receipt, "a title", read.fact).once(format!("vector:{kind}"));
    for cite in draft.fact.citations() {
        draft = draft.citing(cite);
    }
    if kind == "chains.sealed" {
        draft =
            draft.citing(EntryRef { chain: OTHER.parse().unwrap(), seq: 4, digest: Digest::of(b"cited") });
    }
    let mut parents: Vec<Oid> = if opens { Vec::new() } else { vec![tip.commit] };
    parents.extend(draft.cites.iter().map(|_| oid(sha256, 0xef)));
    let body = writer.place(draft, (!opens).then_some(&tip), Timestamp::from_unix_ms(TIME + 1));
    let bytes = body.to_bytes().unwrap();
    let armour = sshsig::sign(&key(), &bytes).unwrap();
    let subject = body.subject();
    let parts = Parts {
        parents: &parents,
        name: &writer.name,
        email: &writer.email,
        time: body.time,
        subject: &subject,
        body: &bytes,
        armour: &armour,
    };
    let object = commit::encode(&parts, oid(sha256, 0).empty_tree());
    let commit = commit_id(&object, sha256);

    let link = Inspector::default().inspect(commit, &object);
    assert_eq!(link.findings, [], "{kind} reads back clean");
    let entry = link.entry.as_ref().unwrap();
    assert_eq!(entry.body, body);
    if opens {
        assert_eq!(chain::check_link(&link, Before::Nothing, |_| None), [], "{kind}");
    }
    assert_eq!(Body::read(&bytes).unwrap().body, body);
    json!({
        "kind": kind,
        "body": String::from_utf8(bytes).unwrap(),
        "digest": entry.digest,
        "signature": armour,
        "parents": parents,
        "commit": commit,
    })
}

/// git's id of a commit object.
fn commit_id(content: &[u8], sha256: bool) -> Oid {
    let kind = if sha256 { gix::hash::Kind::Sha256 } else { gix::hash::Kind::Sha1 };
    let id = gix::objs::compute_hash(kind, gix::objs::Kind::Commit, content).unwrap();
    Oid::from_bytes(id.as_bytes()).unwrap()
}

#[test]
fn every_kind_has_the_bytes_that_were_promised() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/v1.json");
    let all = |sha256| KINDS.iter().map(|kind| vector(kind, sha256)).collect::<Vec<_>>();
    let ours = json!({ "sha1": all(false), "sha256": all(true) });
    if std::env::var_os("GIT_RECEIPT_WRITE_VECTORS").is_some() {
        std::fs::write(path, serde_json::to_string_pretty(&ours).unwrap() + "\n").unwrap();
    }
    let pinned: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    for format in ["sha1", "sha256"] {
        let pinned = pinned[format].as_array().unwrap();
        for (ours, pinned) in ours[format].as_array().unwrap().iter().zip(pinned) {
            assert_eq!(ours, pinned, "{} under {format}", ours["kind"]);
        }
        assert_eq!(pinned.len(), KINDS.len(), "every kind is pinned");
    }
}

/// The examples of RFC 8785 that stay within whole numbers and lower-case keys, and what it says of the others.
#[test]
fn examples_of_rfc_8785() {
    // Section 3.2.2: literals keep their form and white space goes.
    let value: Value = serde_json::from_str(r#"{ "literals": [null, true, false] }"#).unwrap();
    assert_eq!(canonical::write(&value).unwrap(), br#"{"literals":[null,true,false]}"#);
    // Section 3.2.3: keys sort by UTF-16 code units, which for ours is the order of bytes.
    let value: Value = serde_json::from_str(r#"{"b":1,"a_":2,"a":3,"a0":4,"0":5,"_":6}"#).unwrap();
    assert_eq!(canonical::write(&value).unwrap(), br#"{"0":5,"_":6,"a":3,"a0":4,"a_":2,"b":1}"#);
    // Appendix B: what a whole number may be, and the first that may not.
    assert!(canonical::read(b"9007199254740991").is_ok());
    assert!(canonical::read(b"-9007199254740991").is_ok());
    for number in ["9007199254740992", "9007199254740994", "1e+21", "5e-324", "4.5", "333333333.3333332"] {
        assert!(canonical::read(number.as_bytes()).is_err(), "{number}");
    }
}
