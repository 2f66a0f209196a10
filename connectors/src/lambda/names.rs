//! How a function is called by name: bare, as part of an ARN or as a whole one, with or without version.

/// A function as a task names it. What the name leaves open is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FunctionName {
    /// As written.
    pub(super) written: String,
    /// `resize`.
    pub(super) name: String,
    /// A version, an alias or `$LATEST`.
    pub(super) qualifier: Option<String>,
    partition: Option<String>,
    region: Option<String>,
    account: Option<String>,
}

impl FunctionName {
    /// Reads `name`, `function:name`, `ACCOUNT:function:name`, `REGION:ACCOUNT:function:name` or
    /// `arn:PARTITION:lambda:REGION:ACCOUNT:function:name`, each possibly with `:QUALIFIER`
    /// (Lambda API reference, Invoke, `FunctionName`), or `arn:PARTITION:rpcmessage:local::function:name`, an
    /// alias of the last one at home. `None` for anything else.
    pub(super) fn parse(written: &str) -> Option<Self> {
        let segments: Vec<&str> = written.split(':').collect();
        let (before, rest) = match segments.iter().position(|segment| *segment == "function") {
            Some(at) if segments.len() > at + 1 => (&segments[..at], &segments[at + 1..]),
            _ => (&segments[..0], &segments[..]),
        };
        let (partition, region, account) = match *before {
            [] => (None, None, None),
            [account] => (None, None, Some(account)),
            [region, account] => (None, Some(region), Some(account)),
            ["arn", partition, "lambda", region, account] => (Some(partition), Some(region), Some(account)),
            ["arn", partition, "rpcmessage", _, _] => (Some(partition), None, None),
            _ => return None,
        };
        let (name, qualifier) = match *rest {
            [name] => (name, None),
            [name, qualifier] => (name, Some(qualifier)),
            _ => return None,
        };
        if !is_name(name) || qualifier.is_some_and(|qualifier| !is_name(qualifier.trim_start_matches('$'))) {
            return None;
        }
        Some(FunctionName {
            written: written.to_owned(),
            name: name.to_owned(),
            qualifier: qualifier.map(str::to_owned),
            partition: partition.map(str::to_owned),
            region: region.map(str::to_owned),
            account: account.map(str::to_owned),
        })
    }

    /// The whole ARN with its version; region and account of home where the name has none.
    pub(super) fn arn(&self, region: &str, account: &str) -> String {
        format!(
            "arn:{}:lambda:{}:{}:function:{}:{}",
            self.partition.as_deref().unwrap_or("aws"),
            self.region.as_deref().unwrap_or(region),
            self.account.as_deref().unwrap_or(account),
            self.name,
            self.qualifier.as_deref().unwrap_or("$LATEST"),
        )
    }

    /// What ran: the version asked for, or `$LATEST`.
    pub(super) fn version(&self) -> &str {
        match &self.qualifier {
            Some(qualifier) if qualifier.bytes().all(|byte| byte.is_ascii_digit()) => qualifier,
            _ => "$LATEST",
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(written: &str, arn: Option<&str>) {
        let arn_read = FunctionName::parse(written).map(|name| name.arn("eu-west-1", "111122223333"));
        assert_eq!(arn_read.as_deref(), arn, "{written}");
    }

    #[test]
    fn every_way_to_name_a_function_is_read() {
        let home = "arn:aws:lambda:eu-west-1:111122223333:function:resize";
        check("resize", Some(&format!("{home}:$LATEST")));
        check("resize:PROD", Some(&format!("{home}:PROD")));
        check("resize:$LATEST", Some(&format!("{home}:$LATEST")));
        check("function:resize", Some(&format!("{home}:$LATEST")));
        check("function", Some("arn:aws:lambda:eu-west-1:111122223333:function:function:$LATEST"));
        check(
            "000000000000:function:resize:1",
            Some("arn:aws:lambda:eu-west-1:000000000000:function:resize:1"),
        );
        check(
            "us-east-1:000000000000:function:resize",
            Some("arn:aws:lambda:us-east-1:000000000000:function:resize:$LATEST"),
        );
        check("arn:aws:rpcmessage:local::function:resize", Some(&format!("{home}:$LATEST")));
        check(
            "arn:aws-cn:lambda:cn-north-1:000000000000:function:resize:PROD",
            Some("arn:aws-cn:lambda:cn-north-1:000000000000:function:resize:PROD"),
        );
    }

    #[test]
    fn anything_else_is_no_name() {
        for written in ["", "a b", "a/../b", "a:b:c", ":", "resize:", "arn:aws:sqs:r:a:function:resize", "a:"]
        {
            check(written, None);
        }
    }
}
