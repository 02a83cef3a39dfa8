//! Line plots as SVG, written by hand: readable in light and dark, and told apart without colour by marks, dashes and labels at the
//! ends of the lines.

use super::row::rehearsed;
use std::fmt::Write;
use std::path::Path;

/// Where they go: they are part of the documentation.
const FOLDER: &str = rehearsed("bench/report", "target/tmp/bench-report");

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 430.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 582.0;
const TOP: f64 = 98.0;
const BOTTOM: f64 = 372.0;
/// Between the ends of two labels.
const LABEL_PX: f64 = 17.0;

/// Okabe–Ito, darker where text on white needs it, and lighter relatives for a dark ground.
const STYLE: &str = "
  svg { --ground: #ffffff; --ink: #1f2328; --muted: #59636e; --rule: #d8dee4; --one: #0072b2; --two: #c44e00; --three: #00795a;
    font-family: system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif; font-size: 13px; }
  @media (prefers-color-scheme: dark) {
    svg { --ground: #0d1117; --ink: #e6edf3; --muted: #9198a1; --rule: #2b323b; --one: #56b4e9; --two: #e69f00; --three: #3fc79a; } }
  .ground { fill: var(--ground); } text { fill: var(--ink); }
  .title { font-size: 16px; font-weight: 600; } .muted { fill: var(--muted); } .subtitle { font-size: 12px; } .tick { fill: var(--muted); font-variant-numeric: tabular-nums; }
  .rule { stroke: var(--rule); stroke-width: 1; } .axis { stroke: var(--muted); stroke-width: 1; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; } .dashed { stroke-dasharray: 6 4; }
  .spread { stroke-width: 6; opacity: 0.28; } .leader { stroke-width: 1; opacity: 0.5; }
  .one { stroke: var(--one); } .two { stroke: var(--two); } .three { stroke: var(--three); }
  .full.one { fill: var(--one); } .full.two { fill: var(--two); } .full.three { fill: var(--three); }
  .hollow { fill: var(--ground); } .mark { stroke-width: 2; }
  text.one { fill: var(--one); stroke: none; } text.two { fill: var(--two); stroke: none; } text.three { fill: var(--three); stroke: none; }
  .name { font-weight: 600; }
";

pub(crate) struct Plot {
    /// File name without its end.
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    /// Under what circumstances, a line each.
    pub(crate) subtitle: [&'static str; 2],
    /// What lies along each axis, with its unit.
    pub(crate) along: &'static str,
    pub(crate) up: &'static str,
    pub(crate) unit: &'static str,
    /// Where the horizontal axis is labelled, and how.
    pub(crate) ticks: Vec<(f64, String)>,
    pub(crate) lines: Vec<Line>,
}

pub(crate) struct Line {
    pub(crate) label: &'static str,
    pub(crate) ink: Ink,
    pub(crate) mark: Mark,
    pub(crate) points: Vec<Point>,
}

#[derive(Clone, Copy)]
pub(crate) enum Ink {
    One,
    Two,
    Three,
}

/// Full on an unbroken line, hollow on a dashed one.
#[derive(Clone, Copy)]
pub(crate) enum Mark {
    Disc,
    Square,
    Ring,
    Triangle,
}

/// A median with the middle half of its rounds.
#[derive(Clone, Copy)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Ink {
    const fn class(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
            Self::Three => "three",
        }
    }
}

impl Mark {
    const fn is_hollow(self) -> bool {
        match self {
            Self::Disc | Self::Square => false,
            Self::Ring | Self::Triangle => true,
        }
    }

    fn draw(self, x: f64, y: f64) -> String {
        match self {
            Self::Disc | Self::Ring => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>"),
            Self::Square => format!("<rect x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\"/>", x - 4.0, y - 4.0),
            Self::Triangle => {
                let (left, right, top, foot) = (x - 5.0, x + 5.0, y - 5.0, y + 4.0);
                format!("<path d=\"M{x:.1} {top:.1}L{right:.1} {foot:.1}L{left:.1} {foot:.1}Z\"/>")
            }
        }
    }
}

/// Both axes are logarithmic: what matters is by how many times something grows.
struct Scale {
    from: f64,
    to: f64,
    at_from: f64,
    at_to: f64,
}

impl Scale {
    fn at(&self, value: f64) -> f64 {
        let share = (value.max(self.from).ln() - self.from.ln()) / (self.to.ln() - self.from.ln());
        self.at_from + share * (self.at_to - self.at_from)
    }
}

impl Plot {
    /// Writes it to its file.
    pub(crate) fn write(&self) {
        std::fs::create_dir_all(FOLDER).unwrap();
        let path = Path::new(FOLDER).join(self.name).with_extension("svg");
        std::fs::write(&path, self.svg()).unwrap();
        println!("  drawn in {}", path.display());
    }

    /// Prints what is drawn, for whoever cannot see it.
    pub(crate) fn tell(&self) {
        for line in &self.lines {
            let points = line.points.iter().zip(&self.ticks);
            let told: Vec<String> = points.map(|(point, (_, tick))| format!("{tick}: {}", rounded(point.y))).collect();
            println!("  {:<12} {} {}", line.label, told.join("  "), self.unit);
        }
    }

    fn svg(&self) -> String {
        let (across, upward) = self.scales();
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" width=\"{WIDTH}\" height=\"{HEIGHT}\" role=\"img\" aria-labelledby=\"title\">\n\
             <title id=\"title\">{}</title>\n<style>{STYLE}</style>\n\
             <rect class=\"ground\" width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"6\"/>\n\
             <text class=\"title\" x=\"20\" y=\"30\">{}</text>\n",
            self.title, self.title
        );
        for (line, y) in self.subtitle.iter().zip([49, 66]) {
            writeln!(svg, "<text class=\"muted subtitle\" x=\"20\" y=\"{y}\">{line}</text>").unwrap();
        }
        self.axes(&mut svg, &across, &upward);
        // All bars lie below all marks.
        for line in &self.lines {
            line.draw_spread(&mut svg, &across, &upward);
        }
        for line in &self.lines {
            line.draw(&mut svg, &across, &upward);
        }
        self.labels(&mut svg, &across, &upward);
        svg.push_str("</svg>\n");
        svg
    }

    fn scales(&self) -> (Scale, Scale) {
        let all = || self.lines.iter().flat_map(|line| &line.points);
        let least = |of: fn(&Point) -> f64| all().map(of).fold(f64::INFINITY, f64::min);
        let most = |of: fn(&Point) -> f64| all().map(of).fold(0.0, f64::max);
        let across =
            Scale { from: least(|point| point.x), to: most(|point| point.x), at_from: LEFT + 14.0, at_to: RIGHT };
        // From one tick to another, so that the plot has no loose ends.
        let ticks = one_two_five();
        let from = ticks.clone().filter(|tick| *tick <= least(|point| point.low)).last().unwrap();
        let to = ticks.clone().find(|tick| *tick >= most(|point| point.high)).unwrap();
        (across, Scale { from, to, at_from: BOTTOM, at_to: TOP + 22.0 })
    }

    fn axes(&self, svg: &mut String, across: &Scale, upward: &Scale) {
        writeln!(svg, "<text class=\"muted\" x=\"20\" y=\"{TOP}\">{}, {}</text>", self.up, self.unit).unwrap();
        for tick in one_two_five().filter(|tick| (upward.from..=upward.to).contains(tick)) {
            let y = upward.at(tick);
            let (text_y, end) = (y + 4.5, LEFT - 8.0);
            writeln!(svg, "<line class=\"rule\" x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{RIGHT}\" y2=\"{y:.1}\"/>").unwrap();
            writeln!(svg, "<text class=\"tick\" x=\"{end}\" y=\"{text_y:.1}\" text-anchor=\"end\">{tick}</text>")
                .unwrap();
        }
        writeln!(svg, "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{BOTTOM}\" x2=\"{RIGHT}\" y2=\"{BOTTOM}\"/>").unwrap();
        for (value, text) in &self.ticks {
            let x = across.at(*value);
            let (end, text_y) = (BOTTOM + 5.0, BOTTOM + 20.0);
            writeln!(svg, "<line class=\"axis\" x1=\"{x:.1}\" y1=\"{BOTTOM}\" x2=\"{x:.1}\" y2=\"{end}\"/>").unwrap();
            writeln!(svg, "<text class=\"tick\" x=\"{x:.1}\" y=\"{text_y}\" text-anchor=\"middle\">{text}</text>")
                .unwrap();
        }
        let (middle, y) = ((LEFT + RIGHT) / 2.0, BOTTOM + 42.0);
        writeln!(svg, "<text class=\"muted\" x=\"{middle}\" y=\"{y}\" text-anchor=\"middle\">{}</text>", self.along)
            .unwrap();
    }

    /// At the end of each line its name and its last value, moved apart where lines end close together.
    fn labels(&self, svg: &mut String, across: &Scale, upward: &Scale) {
        let last = |line: &Line| *line.points.last().unwrap();
        let mut ends: Vec<(&Line, f64)> = self.lines.iter().map(|line| (line, upward.at(last(line).y))).collect();
        ends.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let mut places: Vec<f64> = ends.iter().map(|(_, y)| *y).collect();
        // Each pair that is too close gives way by half, until there is none.
        for _ in 0..100 {
            for upper in 0..places.len().saturating_sub(1) {
                let lacking = LABEL_PX - (places[upper + 1] - places[upper]);
                if lacking > 0.0 {
                    places[upper] -= lacking / 2.0;
                    places[upper + 1] += lacking / 2.0;
                }
            }
        }
        for ((line, y), place) in ends.into_iter().zip(places) {
            let (class, end) = (line.ink.class(), last(line));
            let (from, to, text_x, text_y) = (across.at(end.x) + 8.0, RIGHT + 20.0, RIGHT + 24.0, place + 4.5);
            writeln!(
                svg,
                "<line class=\"leader {class}\" x1=\"{from:.1}\" y1=\"{y:.1}\" x2=\"{to}\" y2=\"{place:.1}\"/>"
            )
            .unwrap();
            let (label, value, unit) = (line.label, rounded(end.y), self.unit);
            writeln!(
                svg,
                "<text class=\"{class}\" x=\"{text_x}\" y=\"{text_y:.1}\"><tspan class=\"name\">{label}</tspan> {value} {unit}</text>"
            )
            .unwrap();
        }
    }
}

impl Line {
    fn draw_spread(&self, svg: &mut String, across: &Scale, upward: &Scale) {
        let class = self.ink.class();
        for point in &self.points {
            let (x, low, high) = (across.at(point.x), upward.at(point.low), upward.at(point.high));
            writeln!(
                svg,
                "<line class=\"spread {class}\" x1=\"{x:.1}\" y1=\"{low:.1}\" x2=\"{x:.1}\" y2=\"{high:.1}\"/>"
            )
            .unwrap();
        }
    }

    fn draw(&self, svg: &mut String, across: &Scale, upward: &Scale) {
        let class = self.ink.class();
        let (dashed, fill) = if self.mark.is_hollow() { (" dashed", "hollow") } else { ("", "full") };
        let places: Vec<(f64, f64)> =
            self.points.iter().map(|point| (across.at(point.x), upward.at(point.y))).collect();
        let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
        writeln!(svg, "<path class=\"line {class}{dashed}\" d=\"M{}\"/>", path.join("L")).unwrap();
        let marks: String = places.iter().map(|(x, y)| self.mark.draw(*x, *y)).collect();
        writeln!(svg, "<g class=\"mark {fill} {class}\">{marks}</g>").unwrap();
    }
}

/// 1, 2 and 5 of each decade that anything of ours can be in, ascending.
fn one_two_five() -> impl Iterator<Item = f64> + Clone {
    // Divided rather than multiplied where it is below one: 0.1 and not 0.1000…1.
    let decade = |power: i32, step: f64| if power < 0 { step / 10f64.powi(-power) } else { step * 10f64.powi(power) };
    (-4..=7).flat_map(move |power| [1.0, 2.0, 5.0].map(|step| decade(power, step)))
}

fn rounded(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(label: &'static str, ink: Ink, mark: Mark, ys: [f64; 7]) -> Line {
        let points = ys.iter().zip(0..).map(|(y, power)| Point {
            x: f64::from(1 << power),
            y: *y,
            low: y * 0.9,
            high: y * 1.15,
        });
        Line { label, ink, mark, points: points.collect() }
    }

    /// Two of the lines end in the same place, and two others close to it.
    #[test]
    fn names_of_lines_that_end_together_are_apart_and_every_tick_is_a_round_number() {
        let plot = Plot {
            name: "sample",
            title: "A sample",
            subtitle: ["One", "Two"],
            along: "callers",
            up: "Latency",
            unit: "ms",
            ticks: (0..7).map(|power| (f64::from(1 << power), format!("{}", 1 << power))).collect(),
            lines: vec![
                line("A p50", Ink::One, Mark::Disc, [0.21, 0.24, 0.3, 0.42, 0.7, 1.3, 2.4]),
                line("A p99", Ink::One, Mark::Ring, [0.4, 0.5, 0.7, 1.1, 2.0, 3.1, 6.9]),
                line("B p50", Ink::Two, Mark::Square, [0.33, 0.5, 0.8, 1.2, 1.9, 3.6, 6.9]),
                line("B p99", Ink::Two, Mark::Triangle, [1.2, 2.5, 4.0, 4.4, 6.1, 9.3, 17.0]),
            ],
        };
        let svg = plot.svg();
        let number = |text: &str, from: &str| -> f64 {
            let rest = &text[text.find(from).unwrap() + from.len()..];
            rest[..rest.find('"').unwrap()].parse().unwrap()
        };
        let mut names: Vec<f64> =
            svg.lines().filter(|line| line.contains("class=\"name\"")).map(|line| number(line, " y=\"")).collect();
        names.sort_by(f64::total_cmp);
        assert_eq!(names.len(), 4);
        assert!(names.windows(2).all(|two| two[1] - two[0] > LABEL_PX - 0.5), "{names:?}");
        let ticks: Vec<&str> = svg.lines().filter(|line| line.contains("\"end\">")).collect();
        let shown: Vec<&str> = ticks.iter().map(|line| &line[line.rfind("\">").unwrap() + 2..line.len() - 7]).collect();
        assert_eq!(shown, ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20"]);
        println!("{svg}");
    }
}
