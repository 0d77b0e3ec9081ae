//! JSON as the tests see it: numbers keep their spelling, and writing may add noise that means nothing.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::value::RawValue;

/// A JSON value. Unlike `serde_json::Value` it holds a number as it was written, however large or precise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tree {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Tree>),
    Map(BTreeMap<String, Tree>),
}

impl Tree {
    /// Reads JSON text; the text is known to be good.
    pub fn parse(json: &str) -> Self {
        Self::read(json).expect("JSON")
    }

    /// Reads JSON text. Of a key that is given twice the last one counts.
    pub fn read(json: &str) -> serde_json::Result<Self> {
        let raw = json.trim();
        Ok(match raw.as_bytes().first() {
            Some(b'n') => serde_json::from_str(raw).map(|()| Self::Null)?,
            Some(b't' | b'f') => Self::Bool(serde_json::from_str(raw)?),
            Some(b'"') => Self::Text(serde_json::from_str(raw)?),
            Some(b'[') => {
                let items: Vec<&RawValue> = serde_json::from_str(raw)?;
                Self::List(items.into_iter().map(|item| Self::read(item.get())).collect::<Result<_, _>>()?)
            }
            Some(b'{') => {
                let members: BTreeMap<String, &RawValue> = serde_json::from_str(raw)?;
                let member = |(key, member): (String, &RawValue)| Ok((key, Self::read(member.get())?));
                Self::Map(members.into_iter().map(member).collect::<serde_json::Result<_>>()?)
            }
            _ => Self::Number(serde_json::from_str::<&RawValue>(raw)?.get().to_owned()),
        })
    }

    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub fn empty_map() -> Self {
        Self::Map(BTreeMap::new())
    }

    pub fn map<K: Into<String>>(members: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::Map(members.into_iter().map(|(key, member)| (key.into(), member)).collect())
    }

    pub fn is_scalar(&self) -> bool {
        !matches!(self, Self::List(_) | Self::Map(_))
    }

    /// The value at a path of map keys.
    pub fn get(&self, keys: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = keys.split_first() else { return Some(self) };
        match self {
            Self::Map(members) => members.get(*first)?.get(rest),
            _ => None,
        }
    }

    /// The map at a path of map keys, made where there is none.
    pub fn map_at(&mut self, keys: &[&str]) -> &mut BTreeMap<String, Self> {
        if !matches!(self, Self::Map(_)) {
            *self = Self::empty_map();
        }
        let Self::Map(members) = self else { unreachable!("made a map above") };
        match keys.split_first() {
            None => members,
            Some((first, rest)) => members.entry((*first).to_owned()).or_insert_with(Self::empty_map).map_at(rest),
        }
    }

    /// Every string value in it, keys not included: the values of `name`, which are part of paths, and the others.
    pub fn secrets<'a>(&'a self, found: &mut Vec<&'a str>, names: &mut Vec<&'a str>) {
        match self {
            Self::Text(text) => found.push(text),
            Self::List(items) => items.iter().for_each(|item| item.secrets(found, names)),
            Self::Map(members) => {
                for (key, member) in members {
                    match member {
                        Self::Text(name) if key == "name" => names.push(name),
                        member => member.secrets(found, names),
                    }
                }
            }
            _ => {}
        }
    }

    pub fn to_json(&self, noise: &mut Noise) -> String {
        let mut json = String::new();
        self.write(&mut json, noise);
        json
    }

    fn write(&self, json: &mut String, noise: &mut Noise) {
        noise.space(json);
        match self {
            Self::Null => json.push_str("null"),
            Self::Bool(value) => json.push_str(if *value { "true" } else { "false" }),
            Self::Number(spelling) => json.push_str(spelling),
            Self::Text(text) => noise.string(json, text),
            Self::List(items) => {
                json.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    item.write(json, noise);
                }
                json.push(']');
            }
            Self::Map(members) => {
                let mut members: Vec<_> = members.iter().collect();
                noise.shuffle(&mut members);
                json.push('{');
                for (index, (key, member)) in members.into_iter().enumerate() {
                    if index > 0 {
                        json.push(',');
                    }
                    noise.space(json);
                    noise.string(json, key);
                    noise.space(json);
                    json.push(':');
                    member.write(json, noise);
                }
                json.push('}');
            }
        }
        noise.space(json);
    }
}

impl From<serde_json::Value> for Tree {
    fn from(value: serde_json::Value) -> Self {
        Self::parse(&value.to_string())
    }
}

/// Shuffles keys, adds white space and escapes characters: what a reader of JSON must not notice.
#[derive(Debug, Clone, Copy)]
pub struct Noise {
    state: u64,
}

impl Noise {
    /// Canonical output: keys sorted, no spaces, nothing escaped that need not be.
    pub const NONE: Self = Self { state: 0 };

    pub fn seeded(seed: u64) -> Self {
        Self { state: seed }
    }

    /// One of `n` choices; always the first without noise.
    fn choose(&mut self, n: usize) -> usize {
        if self.state == 0 {
            return 0;
        }
        // xorshift64
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        usize::try_from(self.state >> 11).expect("53 bits") % n
    }

    fn space(&mut self, json: &mut String) {
        json.push_str(["", "", "", "", "", "", " ", "\n  ", "\t", "\r\n"][self.choose(10)]);
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in 1..items.len() {
            // Without noise every element stays: the choice is the first, counted from the end.
            items.swap(end, end - self.choose(end + 1));
        }
    }

    fn string(&mut self, json: &mut String, text: &str) {
        json.push('"');
        for character in text.chars() {
            match character {
                _ if self.choose(12) == 1 => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        write!(json, "\\u{unit:04x}").expect("memory");
                    }
                }
                '/' if self.choose(3) == 1 => json.push_str("\\/"),
                '"' => json.push_str("\\\""),
                '\\' => json.push_str("\\\\"),
                '\n' => json.push_str("\\n"),
                control if control < ' ' => write!(json, "\\u{:04X}", u32::from(control)).expect("memory"),
                other => json.push(other),
            }
        }
        json.push('"');
    }
}
