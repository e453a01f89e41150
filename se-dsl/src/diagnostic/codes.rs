//! The codes there are. Diagnostics are made by the named constructors in the files below.

pub(crate) mod composites;
pub(crate) mod document;
pub(crate) mod expression;
pub(crate) mod flow;
pub(crate) mod grading;
pub(crate) mod lints;
pub(crate) mod names;
pub(crate) mod parts;
pub(crate) mod style;
pub(crate) mod yaml;

use std::fmt;

/// A stable name of a kind of mistake: `SE1203`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Code(&'static str);

macro_rules! codes {
    ($($name:ident = $code:literal,)*) => {
        impl Code {
            $(pub(crate) const $name: Self = Self($code);)*

            /// Every code, sorted.
            pub const ALL: &[Self] = &[$(Self($code),)*];
        }

        const PAGES: &[(&str, &str)] = &[
            $(($code, include_str!(concat!("../../docs/codes/", $code, ".md"))),)*
        ];
    };
}

codes! {
    YAML = "SE1001",
    UTF8 = "SE1002",
    DUPLICATE_KEY = "SE1003",
    TOO_DEEP = "SE1004",
    ALIASES = "SE1005",
    MERGE_KEY = "SE1006",
    TAG = "SE1007",
    NUMBER = "SE1008",
    UNQUOTED = "SE1009",
    EMPTY = "SE1010",
    SEVERAL_DOCUMENTS = "SE1011",
    KEY = "SE1012",
    TOO_MANY = "SE1013",

    WRONG_TYPE = "SE1101",
    MISSING_FIELD = "SE1102",
    UNKNOWN_KEY = "SE1103",
    NOT_ONE_OF = "SE1104",
    UNKNOWN_KIND = "SE1105",
    WRONG_PLACE = "SE1106",
    FORMAT_VERSION = "SE1107",
    NOT_SUPPORTED = "SE1108",
    NO_MANIFEST = "SE1109",
    NO_LIFECYCLE = "SE1110",
    NO_POD_TYPE = "SE1111",
    POD_TYPE_CONTRADICTED = "SE1112",
    OUT_OF_RANGE = "SE1113",
    NOTHING_IN_IT = "SE1114",
    BAD_NAME = "SE1115",
    NOT_READ = "SE1116",
    NO_SESSION = "SE1117",
    NO_PARTS = "SE1118",
    NO_PART_DEFINITION = "SE1119",
    UNKNOWN_PART = "SE1120",
    UNUSED_PART = "SE1121",
    TWO_FILES = "SE1122",
    ADAPTER_VERSION = "SE1123",

    UNKNOWN_JOB = "SE1201",
    UNKNOWN_PRIMITIVE = "SE1202",
    UNKNOWN_VERSION = "SE1203",
    UNKNOWN_INPUT = "SE1204",
    MISSING_INPUT = "SE1205",
    WRONG_INPUT = "SE1206",
    UNKNOWN_OUTPUT = "SE1207",
    REVERSED_CAPTURE = "SE1208",
    UNKNOWN_CONNECTOR = "SE1209",
    MISSING_TARGET = "SE1210",
    NEEDLESS_TARGET = "SE1211",
    DUPLICATE_NAME = "SE1212",
    HIDES_BUILT_IN = "SE1213",
    UNKNOWN_RUBRIC = "SE1214",
    UNKNOWN_REPORT = "SE1215",
    UNKNOWN_FILE = "SE1216",
    UNUSED_CONNECTOR = "SE1217",
    NO_JOB_BY_ITSELF = "SE1218",
    UNKNOWN_DEVICE = "SE1219",
    EXCLUSIVE_INPUTS = "SE1220",
    UNBOUND_ELEMENT = "SE1221",
    SAME_HANDLE = "SE1222",
    NAMES_NOTHING = "SE1223",
    SAME_PORT = "SE1224",
    NOT_ON_POD = "SE1225",
    UNKNOWN_COMPOSITE = "SE1230",
    COMPOSITE_CYCLE = "SE1231",
    COMPOSITE_DEPTH = "SE1232",
    UNKNOWN_EXPORT = "SE1233",
    UNKNOWN_PARAMETER = "SE1234",
    UNKNOWN_SCENARIO = "SE1235",
    REPORT_INSIDE = "SE1236",

    UNKNOWN_VARIABLE = "SE1301",
    MAYBE_VARIABLE = "SE1302",
    LATER_VARIABLE = "SE1303",
    SHADOWED_VARIABLE = "SE1304",
    UNKNOWN_NEED = "SE1305",
    NEEDS_CYCLE = "SE1306",
    PROCESS_TYPES_DIFFER = "SE1307",
    NEVER_RUNS = "SE1308",
    UNUSED_CAPTURE = "SE1309",
    AFTER_REPORT = "SE1310",
    TIMEOUT = "SE1311",
    NO_EFFECT = "SE1312",

    EXPRESSION = "SE1401",
    EXPRESSION_NAME = "SE1402",
    ALWAYS_NULL = "SE1403",

    REGEX = "SE1501",
    FLAG = "SE1502",
    POINTS = "SE1503",
    UNCAPTURED_SOURCE = "SE1504",
    UNKNOWN_REPORT_FIELD = "SE1505",
    REPORT_CLASS = "SE1506",
    NO_RULESET = "SE1507",
    MATCHES_ANYTHING = "SE1508",
    NO_POINTS = "SE1509",
    DUPLICATE_CHECK = "SE1510",
    MAYBE_SOURCE = "SE1511",
    EMPTY_GROUP = "SE1512",

    LITERAL_SECRET = "SE1601",
    LITERAL_PORT = "SE1602",
}

impl Code {
    /// As text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// What it is about, in a few words: the title of its page.
    #[must_use]
    pub fn title(self) -> &'static str {
        let page = explain(self.0).unwrap_or_default();
        let title = page.lines().next().unwrap_or_default();
        title.split_once(": ").map_or(title, |(_, title)| title)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The page of a code: what it means, an example, the way out. Case does not count.
#[must_use]
pub fn explain(code: &str) -> Option<&'static str> {
    PAGES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(code.trim()))
        .map(|(_, page)| *page)
}
