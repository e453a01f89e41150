//! A plan as a picture: waves from left to right under the names of their stages, a lane for each
//! connector, and on each line why the one step waits for the other.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use se_dsl::catalog::{Effect, Stage, Target};

use super::show::{Section, caption, reasons, target};
use super::{Block, Edge, Node, Plan, StepIndex, Why};

const BOX_WIDTH: usize = 190;
const BOX_HEIGHT: usize = 40;
const COLUMN: usize = 270;
const ROW: usize = 58;
const LEFT: usize = 150;
const TOP: usize = 64;
const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1f2430}\
.key{font-weight:600}.small{font-size:10.5px;fill:#5b6472}.head{font-weight:600;font-size:13px}\
.lane{fill:#f6f7f9}.lane.odd{fill:#eef0f4}.band{fill:#dfe4ec}\
.box{stroke-width:1.2;rx:6px}.pure{fill:#e9f7ee;stroke:#3c8d5a}.read{fill:#e8f1fc;stroke:#3b74b9}\
.write{fill:#fdf0e3;stroke:#c07a2c}.barrier{fill:#f5e9f7;stroke:#8d4a9b}\
.edge{fill:none;stroke:#9aa3b0;stroke-width:1.1}.data{stroke:#3c8d5a;stroke-width:1.5}\
@media (prefers-color-scheme:dark){svg{background:#15181d}text{fill:#e6e9ef}.small{fill:#9aa3b0}\
.lane{fill:#1b1f26}.lane.odd{fill:#20252d}.band{fill:#2b313b}.pure{fill:#173323}.read{fill:#16293f}\
.write{fill:#3a2917}.barrier{fill:#33203a}}";

/// Where the steps of one section stand.
struct Picture<'a> {
    name: Option<&'a str>,
    block: &'a Block,
    /// Lane → its first row; in order of first use.
    lanes: Vec<(String, usize)>,
    /// Column and row of each step, by its index.
    places: Vec<(usize, usize)>,
    rows: usize,
}

impl Plan {
    /// SVG.
    #[must_use]
    pub fn to_svg(&self) -> String {
        let sections = self.sections();
        let pictures: Vec<Picture<'_>> = sections.iter().map(Picture::of).collect();
        let width = pictures.iter().map(Picture::width).max().unwrap_or(0);
        let height: usize = pictures.iter().map(Picture::height).sum();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
             height=\"{height}\" role=\"img\" aria-label=\"plan\"><style>{STYLE}</style>\n"
        );
        let mut top = 0;
        for picture in &pictures {
            put(
                &mut svg,
                format_args!("<g transform=\"translate(0 {top})\">"),
            );
            picture.draw(&mut svg, width);
            svg.push_str("</g>\n");
            top += picture.height();
        }
        svg.push_str("</svg>\n");
        svg
    }
}

impl<'a> Picture<'a> {
    fn of(section: &'a Section<'a>) -> Self {
        let plan = section.block;
        let mut lanes: Vec<String> = Vec::new();
        for (_, node) in plan.steps() {
            let lane = lane(node);
            if !lanes.contains(&lane) {
                lanes.push(lane);
            }
        }
        // How many steps share a lane and a wave decides how high the lane is.
        let mut stacks: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        let mut within = vec![(0, 0, 0); plan.len()];
        let waves = plan.waves().iter().enumerate();
        for (column, index) in
            waves.flat_map(|(column, wave)| wave.iter().map(move |it| (column, it)))
        {
            let name = lane(plan.node(*index));
            let at = lanes.iter().position(|it| *it == name).unwrap_or_default();
            let stack = stacks.entry((at, column)).or_default();
            if let Some(place) = within.get_mut(index.0) {
                *place = (column, at, *stack);
            }
            *stack += 1;
        }
        let height = |lane: usize| {
            let mine = stacks.iter().filter(|((it, _), _)| *it == lane);
            mine.map(|(_, count)| *count).max().unwrap_or(1)
        };
        let mut rows = 0;
        let mut first_rows = Vec::new();
        for at in 0..lanes.len() {
            first_rows.push(rows);
            rows += height(at);
        }
        let first = |lane: usize| first_rows.get(lane).copied().unwrap_or_default();
        let places = within
            .iter()
            .map(|(column, lane, stack)| (*column, first(*lane) + stack))
            .collect();
        let lanes = lanes.into_iter().zip(first_rows).collect();
        Self {
            name: section.name.as_deref(),
            block: plan,
            lanes,
            places,
            rows,
        }
    }

    fn width(&self) -> usize {
        LEFT + self.block.waves().len() * COLUMN
    }

    fn height(&self) -> usize {
        TOP + self.rows * ROW + 16
    }

    fn draw(&self, svg: &mut String, width: usize) {
        self.draw_lanes(svg, width);
        if let Some(name) = self.name {
            let name = escape(name.trim_start_matches("composite:"));
            put(
                svg,
                format_args!("<text class=\"head\" x=\"12\" y=\"30\">{name}</text>"),
            );
        }
        self.draw_stages(svg);
        for (index, node) in self.block.steps() {
            for edge in node
                .predecessors()
                .iter()
                .filter(|edge| !self.is_implied(edge, node))
            {
                self.draw_edge(svg, edge, index);
            }
        }
        for (index, node) in self.block.steps() {
            self.draw_step(svg, index, node);
        }
    }

    fn draw_lanes(&self, svg: &mut String, width: usize) {
        for (at, (name, first)) in self.lanes.iter().enumerate() {
            let next = self
                .lanes
                .get(at + 1)
                .map_or(self.rows, |(_, first)| *first);
            let (y, height) = (TOP + first * ROW, (next - first) * ROW);
            let odd = if at % 2 == 1 { " odd" } else { "" };
            let middle = y + height / 2 + 4;
            put(
                svg,
                format_args!(
                    "<rect class=\"lane{odd}\" x=\"0\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>"
                ),
            );
            put(
                svg,
                format_args!(
                    "<text class=\"head\" x=\"12\" y=\"{middle}\">{}</text>",
                    escape(&shorten(name, 17))
                ),
            );
        }
    }

    /// Neighbouring waves of one stage share a band.
    fn draw_stages(&self, svg: &mut String) {
        let mut bands: Vec<(String, usize, usize)> = Vec::new();
        for (column, wave) in self.block.waves().iter().enumerate() {
            let name = self.stages(wave);
            match bands.last_mut() {
                Some((last, _, end)) if *last == name => *end = column + 1,
                _ => bands.push((name, column, column + 1)),
            }
        }
        for (name, start, end) in bands {
            let (x, width) = (LEFT + start * COLUMN - 12, (end - start) * COLUMN - 8);
            put(
                svg,
                format_args!(
                    "<rect class=\"band\" x=\"{x}\" y=\"12\" width=\"{width}\" height=\"26\" rx=\"6\"/>"
                ),
            );
            put(
                svg,
                format_args!(
                    "<text class=\"head\" x=\"{}\" y=\"30\">{name}</text>",
                    x + 12
                ),
            );
        }
        for column in 0..self.block.waves().len() {
            let x = LEFT + column * COLUMN;
            put(
                svg,
                format_args!(
                    "<text class=\"small\" x=\"{x}\" y=\"54\">wave {}</text>",
                    column + 1
                ),
            );
        }
    }

    fn stages(&self, wave: &[StepIndex]) -> String {
        let mut stages: Vec<Stage> = wave
            .iter()
            .map(|it| self.block.node(*it).step().stage)
            .collect();
        stages.sort_unstable();
        stages.dedup();
        let names: Vec<&str> = stages.into_iter().map(stage).collect();
        names.join(", ")
    }

    /// Whether a line adds nothing to see: another predecessor waits for the same step already.
    fn is_implied(&self, edge: &Edge, node: &Node) -> bool {
        let between = |other: &Edge| {
            let before = self.block.node(other.from).predecessors();
            before.iter().any(|it| it.from == edge.from)
        };
        !is_data(edge) && node.predecessors().iter().any(between)
    }

    fn draw_edge(&self, svg: &mut String, edge: &Edge, to: StepIndex) {
        let (Some((from_column, from_row)), Some((to_column, to_row))) =
            (self.places.get(edge.from.0), self.places.get(to.0))
        else {
            return;
        };
        let (x1, y1) = (
            LEFT + from_column * COLUMN + BOX_WIDTH,
            TOP + from_row * ROW + ROW / 2,
        );
        let (x2, y2) = (LEFT + to_column * COLUMN, TOP + to_row * ROW + ROW / 2);
        let bend = (COLUMN - BOX_WIDTH) / 2;
        let class = if is_data(edge) { "edge data" } else { "edge" };
        let (from, to) = (&self.block.node(edge.from).key, &self.block.node(to).key);
        let why = reasons(edge).join("; ");
        put(
            svg,
            format_args!(
                "<path class=\"{class}\" d=\"M{x1} {y1} C{} {y1} {} {y2} {x2} {y2}\"><title>{} after {}: {}</title></path>",
                x1 + bend,
                x2 - bend,
                escape(to),
                escape(from),
                escape(&why),
            ),
        );
        // Neighbours in one lane have room for the reason itself.
        if y1 == y2 && to_column - from_column == 1 {
            let room = (COLUMN - BOX_WIDTH) / 6;
            put(
                svg,
                format_args!(
                    "<text class=\"small\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                    usize::midpoint(x1, x2),
                    y1 - 5,
                    escape(&shorten(&short(edge), room)),
                ),
            );
        }
    }

    fn draw_step(&self, svg: &mut String, index: StepIndex, node: &Node) {
        let Some((column, row)) = self.places.get(index.0) else {
            return;
        };
        let (x, y) = (
            LEFT + column * COLUMN,
            TOP + row * ROW + (ROW - BOX_HEIGHT) / 2,
        );
        let class = match node.step().uses.effect() {
            Effect::Pure => "pure",
            Effect::Read => "read",
            Effect::Write => "write",
            Effect::Barrier => "barrier",
        };
        put(
            svg,
            format_args!(
                "<g><title>{}: {}</title>",
                escape(&node.key),
                escape(&caption(node.step()))
            ),
        );
        put(
            svg,
            format_args!(
                "<rect class=\"box {class}\" x=\"{x}\" y=\"{y}\" width=\"{BOX_WIDTH}\" height=\"{BOX_HEIGHT}\"/>"
            ),
        );
        let (left, upper, lower) = (x + 10, y + 17, y + 32);
        put(
            svg,
            format_args!(
                "<text class=\"key\" x=\"{left}\" y=\"{upper}\">{}</text>",
                escape(&shorten(&node.key, 26))
            ),
        );
        put(
            svg,
            format_args!(
                "<text class=\"small\" x=\"{left}\" y=\"{lower}\">{}</text></g>",
                escape(&node.step().uses.id())
            ),
        );
    }
}

fn is_data(edge: &Edge) -> bool {
    edge.why.iter().any(|why| matches!(why, Why::Reads(_)))
}

/// The connector, or what the engine does by itself.
fn lane(node: &Node) -> String {
    let step = node.step();
    if let Some(each) = &step.for_each
        && step
            .target
            .as_ref()
            .is_some_and(|it| it.literal().is_none())
    {
        return format!("each {}", each.var);
    }
    if step.target.is_none() && step.uses.target() == Target::Required {
        return "the call's target".to_owned();
    }
    target(step).unwrap_or_else(|| match step.uses.effect() {
        Effect::Pure | Effect::Barrier => "engine".to_owned(),
        Effect::Read | Effect::Write => "lab".to_owned(),
    })
}

fn stage(stage: Stage) -> &'static str {
    match stage {
        Stage::Setup => "setup",
        Stage::Collect => "collect",
        Stage::Evaluate => "evaluate",
        Stage::Report => "report",
    }
}

/// The first reason in a word.
fn short(edge: &Edge) -> String {
    match edge.why.first() {
        Some(Why::Reads(_)) => "reads".to_owned(),
        Some(Why::SameAlias(_)) => "same name".to_owned(),
        Some(Why::ReadBefore(_)) => "read before".to_owned(),
        Some(Why::Effect) => "order".to_owned(),
        Some(Why::SameConnector(_)) => "same device".to_owned(),
        Some(Why::Needs) => "needs".to_owned(),
        Some(Why::Reports) => "reports".to_owned(),
        Some(Why::JobOrder) => "next job".to_owned(),
        Some(Why::Sequential) => "sequential".to_owned(),
        None => String::new(),
    }
}

fn shorten(text: &str, longest: usize) -> String {
    if text.chars().count() <= longest {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(longest.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

fn put(svg: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    if writeln!(svg, "{arguments}").is_err() {
        svg.push('\n');
    }
}
