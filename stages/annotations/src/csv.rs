//! Lines with quoted fields: [`fields`].
//!
//! A field never goes over a line break: labels and paths have none, and a quote left open must not swallow a list.

/// What to do about an error of [`fields`].
pub(crate) const QUOTES: &str = "a field with quotes is written `\"like \"\"this\"\"\"`, in one line";

/// Parts a line, and trims each field that is not in quotes.
///
/// # Errors
/// What is wrong with the quotes.
pub(crate) fn fields(line: &str, delimiter: &str) -> Result<Vec<String>, &'static str> {
    let mut fields = Vec::new();
    let mut rest = line;
    loop {
        let start = rest.trim_start_matches(' ');
        let (field, after) = if let Some(quoted) = start.strip_prefix('"') {
            let (field, after) = unquote(quoted)?;
            (field, after.trim_start_matches(' '))
        } else {
            let end = rest.find(delimiter).unwrap_or(rest.len());
            (rest[..end].trim().to_owned(), &rest[end..])
        };
        fields.push(field);
        match after.strip_prefix(delimiter) {
            Some(next) => rest = next,
            None if after.is_empty() => return Ok(fields),
            None => return Err("there is text after a closing quote"),
        }
    }
}

fn unquote(quoted: &str) -> Result<(String, &str), &'static str> {
    let (mut field, mut rest) = (String::new(), quoted);
    loop {
        let (before, after) = rest.split_once('"').ok_or("a quote is not closed")?;
        field.push_str(before);
        let Some(next) = after.strip_prefix('"') else { return Ok((field, after)) };
        field.push('"');
        rest = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quotes_keep_what_is_between() {
        let check = |line: &str, delimiter: &str, expect: Result<&[&str], &str>| {
            let found = fields(line, delimiter);
            let found = found.as_ref().map(|fields| fields.iter().map(String::as_str).collect::<Vec<_>>());
            assert_eq!(found.as_ref().map(|fields| &fields[..]).map_err(|e| **e), expect, "{line}");
        };
        check("a,b , c", ",", Ok(&["a", "b", "c"]));
        check("FILE; ACTION CLASSES", ";", Ok(&["FILE", "ACTION CLASSES"]));
        check("\"a, \"\"b\"\"\" ,c", ",", Ok(&["a, \"b\"", "c"]));
        check("a,,", ",", Ok(&["a", "", ""]));
        check("a b\tc", "\t", Ok(&["a b", "c"]));
        check("a\"b,c", ",", Ok(&["a\"b", "c"]));
        check("\"a", ",", Err("a quote is not closed"));
        check("\"a\"b,c", ",", Err("there is text after a closing quote"));
    }

    proptest! {
        #[test]
        fn what_is_quoted_comes_back(fields in proptest::collection::vec("[^\n]{0,8}", 1..6)) {
            let quoted: Vec<String> = fields.iter().map(|field| format!("\"{}\"", field.replace('"', "\"\""))).collect();
            prop_assert_eq!(super::fields(&quoted.join(","), ","), Ok(fields));
        }
    }
}
