//! The members of the requests to the bus with their constraints, from the service model (`events`,
//! 2015-10-07).

use super::{Member, Shape};

/// What can be asked of the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusAction {
    PutRule,
    DescribeRule,
    ListRules,
    EnableRule,
    DisableRule,
    DeleteRule,
    PutTargets,
    RemoveTargets,
    ListTargetsByRule,
    PutEvents,
    TestEventPattern,
}

impl BusAction {
    /// The action that `X-Amz-Target` names after the dot.
    pub fn named(name: &str) -> Option<Self> {
        ACTIONS.iter().find(|(known, ..)| *known == name).map(|(_, action, _)| *action)
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        ACTIONS.iter().find(|(_, action, _)| *action == self).map_or("", |(name, ..)| name)
    }

    /// What its request may hold.
    pub fn members(self) -> &'static [Member] {
        ACTIONS.iter().find(|(_, action, _)| *action == self).map_or(&[], |(.., members)| members)
    }
}

const ACTIONS: &[(&str, BusAction, &[Member])] = &[
    ("PutRule", BusAction::PutRule, PUT_RULE),
    ("DescribeRule", BusAction::DescribeRule, &[NAME, BUS]),
    ("ListRules", BusAction::ListRules, &[optional("NamePrefix", TEXT_64), BUS, TOKEN, LIMIT]),
    ("EnableRule", BusAction::EnableRule, &[NAME, BUS]),
    ("DisableRule", BusAction::DisableRule, &[NAME, BUS]),
    ("DeleteRule", BusAction::DeleteRule, &[NAME, BUS, optional("Force", Shape::Flag)]),
    ("PutTargets", BusAction::PutTargets, &[RULE, BUS, required("Targets", Shape::List(&TARGET))]),
    (
        "RemoveTargets",
        BusAction::RemoveTargets,
        &[RULE, BUS, required("Ids", Shape::List(&TEXT_64)), optional("Force", Shape::Flag)],
    ),
    ("ListTargetsByRule", BusAction::ListTargetsByRule, &[RULE, BUS, TOKEN, LIMIT]),
    ("PutEvents", BusAction::PutEvents, &[required("Entries", Shape::List(&ENTRY))]),
    (
        "TestEventPattern",
        BusAction::TestEventPattern,
        &[required("EventPattern", text(0, 4_096)), required("Event", text(0, 1_048_576))],
    ),
];

const TEXT_64: Shape = text(1, 64);
const NAME: Member = required("Name", TEXT_64);
const RULE: Member = required("Rule", TEXT_64);
const BUS: Member = optional("EventBusName", text(1, 1_600));
const TOKEN: Member = optional("NextToken", text(1, 2_048));
const LIMIT: Member = optional("Limit", Shape::Whole { min: 1, max: 100 });

const PUT_RULE: &[Member] = &[
    NAME,
    optional("ScheduleExpression", text(0, 256)),
    optional("EventPattern", text(0, 4_096)),
    optional("State", Shape::Word(&["ENABLED", "DISABLED", "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"])),
    optional("Description", text(0, 512)),
    optional("RoleArn", text(1, 1_600)),
    BUS,
];

const TARGET: Shape = Shape::Structure(&[
    required("Id", TEXT_64),
    required("Arn", text(1, 1_600)),
    optional("RoleArn", text(1, 1_600)),
    optional("Input", text(0, 8_192)),
    optional("InputPath", text(0, 256)),
    optional(
        "InputTransformer",
        Shape::Structure(&[
            optional("InputPathsMap", Shape::Structure(&[])),
            required("InputTemplate", text(1, 8_192)),
        ]),
    ),
    optional("DeadLetterConfig", Shape::Structure(&[optional("Arn", text(1, 1_600))])),
    optional(
        "RetryPolicy",
        Shape::Structure(&[
            optional("MaximumRetryAttempts", Shape::Whole { min: 0, max: 185 }),
            optional("MaximumEventAgeInSeconds", Shape::Whole { min: 60, max: 86_400 }),
        ]),
    ),
]);

const ENTRY: Shape = Shape::Structure(&[]);

const fn text(min: usize, max: usize) -> Shape {
    Shape::Text { min, max, secret: false }
}

const fn required(name: &'static str, shape: Shape) -> Member {
    Member { name, required: true, shape }
}

const fn optional(name: &'static str, shape: Shape) -> Member {
    Member { name, required: false, shape }
}
