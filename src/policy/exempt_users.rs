//! The users that a cluster has in place of those that exemptions of built-in policies name.

use std::{borrow::Cow, ops::Range};

use serde_json::Value;

use super::{Policy, SourceError, lint::user_problem};

/// A user in place of those that an exemption of a built-in policy names. Of several for one exemption it names all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExemptUser {
    exemption: String,
    user: String,
}

/// Reads `EXEMPTION=USER`.
///
/// # Errors
///
/// A message if either is missing, or if nobody is called so.
pub fn parse_exempt_user(text: &str) -> Result<ExemptUser, String> {
    let (exemption, user) = text.split_once('=').unwrap_or_default();
    if exemption.is_empty() || user.is_empty() {
        return Err("write EXEMPTION=USER, like kueue=system:serviceaccount:NAMESPACE:NAME".to_owned());
    }
    match user_problem(user) {
        Some(problem) => Err(format!("{user} {problem}")),
        None => Ok(ExemptUser { exemption: exemption.to_owned(), user: user.to_owned() }),
    }
}

/// Checks that each user is for an exemption that lists users, of a built-in policy among these.
pub(super) fn check(users: &[ExemptUser], policies: &[String]) -> Result<(), SourceError> {
    let texts = || policies.iter().filter_map(|name| Policy::builtin_text(name));
    for ExemptUser { exemption, .. } in users {
        if texts().any(|text| users_of(text, exemption).is_some()) {
            continue;
        }
        let policies = policies.join(", ");
        if texts().next().is_none() {
            return Err(SourceError::Unusable(format!(
                "{policies}: --exempt is for built-in policies; list the users of {exemption} in the policy file"
            )));
        }
        let mut names: Vec<&str> = texts().flat_map(exemptions_with_users).collect();
        names.sort_unstable();
        names.dedup();
        return Err(SourceError::Unusable(format!(
            "{policies}: --exempt {exemption}: no exemption of that name lists users; these do: {}",
            names.join(", ")
        )));
    }
    Ok(())
}

/// The text of a built-in policy with these users.
pub(super) fn text_with(users: &[ExemptUser], text: &'static str) -> Cow<'static, str> {
    let mut with = Cow::Borrowed(text);
    for exemption in exemptions_with_users(text) {
        let own = users.iter().filter(|user| user.exemption == exemption);
        // A JSON string is a YAML one too.
        let lines = own.fold(String::new(), |all, own| all + USER + "- " + &Value::from(&*own.user).to_string() + "\n");
        if let Some(at) = users_of(&with, exemption).filter(|_| !lines.is_empty()) {
            with.to_mut().replace_range(at, &lines);
        }
    }
    with
}

const EXEMPTION: &str = "  - name: ";
const USERS: &str = "    users:\n";
const USER: &str = "      ";

/// The names of the exemptions that list users. The built-in policies are written in one way, so lines tell.
fn exemptions_with_users(text: &str) -> impl Iterator<Item = &str> {
    let names = text.lines().filter_map(|line| line.strip_prefix(EXEMPTION));
    names.filter(move |name| users_of(text, name).is_some())
}

/// The place of the lines that list the users of that exemption.
fn users_of(text: &str, exemption: &str) -> Option<Range<usize>> {
    let begin = text.find(&format!("{EXEMPTION}{exemption}\n"))?;
    let next = text[begin + 1..].find(EXEMPTION).map_or(text.len(), |next| begin + 1 + next);
    let first = begin + text[begin..next].find(USERS)? + USERS.len();
    let lines = text[first..next].split_inclusive('\n').take_while(|line| line.starts_with(USER));
    Some(first..first + lines.map(str::len).sum::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(text: &str) -> ExemptUser {
        parse_exempt_user(text).expect("a user")
    }

    #[test]
    fn takes_the_place_of_the_users_and_of_nothing_else() {
        let text = Policy::builtin_text("kueue").expect("a policy");
        let with =
            text_with(&[user("kueue=system:serviceaccount:openshift-kueue-operator:kueue"), user("kueue=b")], text);
        let own = "      - system:serviceaccount:kueue-system:kueue-controller-manager\n";
        assert!(text.contains(own));
        let wanted = "      - \"system:serviceaccount:openshift-kueue-operator:kueue\"\n      - \"b\"\n";
        assert_eq!(with, text.replace(own, wanted));
        assert_eq!(text_with(&[], text), text);
    }

    #[test]
    fn every_list_of_users_of_a_built_in_policy_is_found() {
        for name in Policy::builtin_names() {
            let text = Policy::builtin_text(name).expect("a policy");
            let policy = Policy::builtin(name).expect("a policy");
            let with_users = policy.exemptions.iter().filter(|exemption| !exemption.users.is_empty());
            let names: Vec<_> = with_users.map(|exemption| exemption.name.as_str()).collect();
            assert_eq!(exemptions_with_users(text).collect::<Vec<_>>(), names, "{name}");
            for exemption in names {
                let with = text_with(&[user(&format!("{exemption}=somebody else: \"one\""))], text);
                let with = Policy::parse(&with).expect("a policy");
                for (now, before) in with.exemptions.iter().zip(&policy.exemptions) {
                    let users = vec!["somebody else: \"one\"".to_owned()];
                    assert_eq!(now.users, if now.name == exemption { users } else { before.users.clone() });
                    assert_eq!((&now.name, now.when, &now.fields), (&before.name, before.when, &before.fields));
                }
            }
        }
    }
}
