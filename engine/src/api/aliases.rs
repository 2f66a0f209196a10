//! Aliases of state machines: names that lead to one or two versions (api.md §3).

use serde_json::{Map, Value, json};

use super::errors::ApiError;
use super::lookup::{self, MachineArn};
use super::pages::PageRequest;
use super::parameters::Parameters;
use crate::ports::catalog::Machine;
use crate::ports::catalog::versions::{Alias, AliasChange, Aliased, Route, Routes};
use crate::services::Core;

/// Most versions that an alias leads to.
const ROUTES_MAX: usize = 2;
/// What the weights of an alias make.
const WEIGHTS: i64 = 100;

/// CreateStateMachineAlias. The same alias again answers the one that is there.
pub async fn create(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let (machine, routes) = read_routes(core, parameters)?;
    let machine = core.catalog.machine(machine).await?.ok_or_else(ApiError::no_resource)?;
    let now = core.clock.now();
    let alias = Alias {
        name: parameters.required("name").to_owned(),
        description: parameters.text("description").map(str::to_owned),
        routes,
        created_at: now,
        updated_at: now,
    };
    let aliases_max = core.quotas.aliases_max;
    let created_at = match core.catalog.create_alias(machine.id, alias.clone(), aliases_max).await? {
        Aliased::Done => now,
        Aliased::Exists(there) if there.routes == alias.routes && there.description == alias.description => {
            there.created_at
        }
        Aliased::Exists(_) => {
            return Err(ApiError::conflict(
                "Failed to create alias because an alias with the same name and a different routing \
                 configuration already exists.",
            ));
        }
        Aliased::Full => {
            let arn = core.home.state_machine(&machine.name);
            let message =
                format!("The state machine has {aliases_max} aliases, the most it can have: '{arn}'");
            return Err(ApiError::quota(message));
        }
        Aliased::NoVersion | Aliased::NoAlias => return Err(ApiError::no_resource()),
    };
    core.door.forget(&machine.name);
    let arn = core.home.qualified(&machine.name, &alias.name);
    Ok(json!({"stateMachineAliasArn": arn, "creationDate": created_at.seconds()}))
}

/// UpdateStateMachineAlias.
pub async fn update(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let (name, alias) = named(core, parameters)?.ok_or_else(ApiError::no_resource)?;
    if !parameters.has("description") && !parameters.has("routingConfiguration") {
        return Err(ApiError::missing(
            "Either the description or the routingConfiguration must be specified",
        ));
    }
    let routes = match parameters.has("routingConfiguration") {
        true => {
            let (machine, routes) = read_routes(core, parameters)?;
            if machine != name {
                return Err(ApiError::no_resource());
            }
            Some(routes)
        }
        false => None,
    };
    let machine = core.catalog.machine(name).await?.ok_or_else(ApiError::no_resource)?;
    let updated_at = core.clock.now();
    let description = parameters.text("description").map(str::to_owned);
    let change = AliasChange { description, routes, updated_at };
    match core.catalog.update_alias(machine.id, alias, change).await? {
        Aliased::Done => {
            core.door.forget(name);
            Ok(json!({"updateDate": updated_at.seconds()}))
        }
        Aliased::Exists(_) | Aliased::Full | Aliased::NoVersion | Aliased::NoAlias => {
            Err(ApiError::no_resource())
        }
    }
}

/// DescribeStateMachineAlias.
pub async fn describe(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let (machine, name) = named(core, parameters)?.ok_or_else(ApiError::no_resource)?;
    let alias = core.catalog.alias(machine, name).await?.ok_or_else(ApiError::no_resource)?;
    let routes = alias.routes.iter().map(|route| {
        let arn = core.home.qualified(machine, route.version);
        json!({"stateMachineVersionArn": arn, "weight": route.weight})
    });
    let mut answer = Map::new();
    answer.insert("stateMachineAliasArn".into(), core.home.qualified(machine, name).into());
    answer.insert("name".into(), name.into());
    if let Some(description) = alias.description {
        answer.insert("description".into(), description.into());
    }
    answer.insert("routingConfiguration".into(), routes.collect());
    answer.insert("creationDate".into(), alias.created_at.seconds().into());
    answer.insert("updateDate".into(), alias.updated_at.seconds().into());
    Ok(Value::Object(answer))
}

/// DeleteStateMachineAlias. Deleting what is gone is no error.
pub async fn delete(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let Some((name, alias)) = named(core, parameters)? else { return Ok(json!({})) };
    if let Some(machine) = core.catalog.machine(name).await? {
        core.catalog.delete_alias(machine.id, alias).await?;
        core.door.forget(name);
    }
    Ok(json!({}))
}

/// ListStateMachineAliases, of a machine or of one of its versions.
pub async fn list(core: &Core, parameters: &Parameters) -> Result<Value, ApiError> {
    let arn = parameters.required("stateMachineArn");
    let (machine, version) = match lookup::machine_arn(core, arn)? {
        MachineArn::Version { name, number } => {
            let found = core.catalog.version(name, number).await?;
            let (machine, _) = found.ok_or_else(ApiError::no_resource)?;
            (machine, Some(number))
        }
        _ => (lookup::machine(core, arn).await?, None),
    };
    let list = format!("aliases of {} {}", machine.id, version.unwrap_or_default());
    let request = PageRequest::read(&core.tokens, list, parameters)?;
    let page = core.catalog.aliases(machine.id, version, request.limit, request.from.as_deref()).await?;
    let items = page.items.iter().map(|alias| item(core, &machine, alias));
    Ok(request.answer("stateMachineAliases", items.collect(), page.next.as_deref()))
}

fn item(core: &Core, machine: &Machine, alias: &Alias) -> Value {
    json!({
        "stateMachineAliasArn": core.home.qualified(&machine.name, &alias.name),
        "creationDate": alias.created_at.seconds(),
    })
}

/// The names of machine and alias in `stateMachineAliasArn`; `None` if it names no alias that could be here.
fn named<'a>(core: &Core, parameters: &'a Parameters) -> Result<Option<(&'a str, &'a str)>, ApiError> {
    let arn = parameters.required("stateMachineAliasArn");
    match lookup::machine_arn(core, arn)? {
        MachineArn::Alias { name, alias } => Ok(Some((name, alias))),
        MachineArn::Version { .. } | MachineArn::Elsewhere => Ok(None),
        MachineArn::Labelled => Err(ApiError::labelled(arn)),
        MachineArn::Machine(_) => Err(ApiError::validation(format!(
            "Give the ARN of an alias of a state machine: '{arn}' names none"
        ))),
    }
}

/// `routingConfiguration`: the machine's name, and where the alias leads.
fn read_routes<'a>(core: &Core, parameters: &'a Parameters) -> Result<(&'a str, Routes), ApiError> {
    let given: Vec<(&str, i64)> = parameters
        .value("routingConfiguration")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .map(|item| {
            let arn = item["stateMachineVersionArn"].as_str().unwrap_or_default();
            (arn, item["weight"].as_i64().unwrap_or_default())
        })
        .collect();
    check(&given)?;
    let mut routes = Vec::new();
    for (arn, weight) in &given {
        match lookup::machine_arn(core, arn)? {
            MachineArn::Version { name, number } => {
                routes.push((
                    name,
                    Route { version: number, weight: u8::try_from(*weight).unwrap_or_default() },
                ));
            }
            MachineArn::Elsewhere => return Err(ApiError::no_resource()),
            MachineArn::Machine(_) | MachineArn::Alias { .. } | MachineArn::Labelled => {
                return Err(unroutable("must contain state machine version ARNs", &given));
            }
        }
    }
    match routes[..] {
        [(machine, first)] => Ok((machine, Routes { first, other: None })),
        [(machine, first), (other, second)] if machine == other => {
            Ok((machine, Routes { first, other: Some(second.version) }))
        }
        _ => Err(unroutable("must contain version ARNs of one state machine", &given)),
    }
}

/// What can be said of a routing configuration without knowing the versions.
fn check(given: &[(&str, i64)]) -> Result<(), ApiError> {
    if given.is_empty() || given.len() > ROUTES_MAX {
        let items: Vec<String> = given
            .iter()
            .map(|(arn, weight)| {
                format!("RoutingConfigurationListItem(stateMachineVersionArn={arn}, weight={weight})")
            })
            .collect();
        let constraint =
            if given.is_empty() { "greater than or equal to 1" } else { "less than or equal to 2" };
        return Err(ApiError::validation(format!(
            "1 validation error detected: Value '[{}]' at 'routingConfiguration' failed to satisfy constraint: \
             Member must have length {constraint}",
            items.join(", ")
        )));
    }
    if let [(first, _), (second, _)] = given
        && first == second
    {
        return Err(unroutable("must contain distinct state machine version ARNs", given));
    }
    if given.iter().map(|(_, weight)| weight).sum::<i64>() != WEIGHTS {
        let weights: Vec<String> = given.iter().map(|(_, weight)| weight.to_string()).collect();
        return Err(ApiError::invalid_routing(format!(
            "Sum of routing configuration weights must equal 100. Received: [{}]",
            weights.join(", ")
        )));
    }
    Ok(())
}

fn unroutable(why: &str, given: &[(&str, i64)]) -> ApiError {
    let arns: Vec<&str> = given.iter().map(|(arn, _)| *arn).collect();
    ApiError::invalid_routing(format!("Routing configuration {why}. Received: [{}]", arns.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_or_two_versions_make_a_hundred() {
        let told = |given: &[(&str, i64)]| check(given).err().map(|error| error.message().to_owned());
        for good in [&[("a", 100)][..], &[("a", 30), ("b", 70)], &[("a", 100), ("b", 0)]] {
            assert_eq!(told(good), None, "{good:?}");
        }
        let sum = "Sum of routing configuration weights must equal 100. Received: [70, 29]";
        assert_eq!(told(&[("a", 70), ("b", 29)]).as_deref(), Some(sum));
        let distinct =
            "Routing configuration must contain distinct state machine version ARNs. Received: [a, a]";
        assert_eq!(told(&[("a", 50), ("a", 50)]).as_deref(), Some(distinct));
        let many = "1 validation error detected: Value '[RoutingConfigurationListItem(stateMachineVersionArn=a, \
                    weight=50), RoutingConfigurationListItem(stateMachineVersionArn=b, weight=30), \
                    RoutingConfigurationListItem(stateMachineVersionArn=c, weight=20)]' at \
                    'routingConfiguration' failed to satisfy constraint: \
                    Member must have length less than or equal to 2";
        assert_eq!(told(&[("a", 50), ("b", 30), ("c", 20)]).as_deref(), Some(many));
        assert!(told(&[]).is_some_and(|text| text.ends_with("length greater than or equal to 1")));
    }
}
