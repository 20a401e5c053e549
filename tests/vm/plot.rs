//! Draws times over sizes, both axes logarithmic, as SVG.

use std::fmt::Write;

/// Size in MB, time in milliseconds.
#[derive(Clone, Copy)]
pub struct Point {
    pub size: f64,
    pub time: f64,
    /// It was ended then: it would have taken longer.
    pub over: bool,
}

/// A line of a plot.
pub struct Series {
    pub name: String,
    pub colour: String,
    pub points: Vec<Point>,
}

impl Series {
    pub fn new(name: &str, colour: &str) -> Series {
        Series { name: name.into(), colour: colour.into(), points: Vec::new() }
    }
}

/// A plot among others.
pub struct Panel {
    pub title: String,
    pub series: Vec<Series>,
}

/// Of the drawing area of a panel, and around it.
const WIDTH: f64 = 360.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 40.0;
/// For the names at the ends of the lines.
const RIGHT: f64 = 110.0;
const BOTTOM: f64 = 50.0;
/// For what hollow marks are, below all.
const NOTE: f64 = 30.0;

/// Two panels in a row, all with the same axes.
pub fn svg(panels: &[Panel]) -> String {
    let points = || panels.iter().flat_map(|panel| &panel.series).flat_map(|series| &series.points);
    let over = points().any(|point| point.over);
    let sizes = decades(points().map(|point| point.size));
    let times = decades(points().map(|point| point.time));
    let (columns, rows) = (panels.len().min(2), panels.len().div_ceil(2));
    let (step_x, step_y) = (LEFT + WIDTH + RIGHT, TOP + HEIGHT + BOTTOM);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n",
        step_x * columns as f64,
        step_y * rows as f64 + if over { NOTE } else { 0.0 }
    );
    for (index, panel) in panels.iter().enumerate() {
        let (x, y) = (step_x * (index % 2) as f64 + LEFT, step_y * (index / 2) as f64 + TOP);
        let _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        draw(&mut out, panel, sizes, times);
        out.push_str("</g>\n");
    }
    if over {
        let _ = writeln!(
            out,
            "<text x=\"{LEFT}\" y=\"{}\">A hollow triangle: ended there, it would have taken longer. \
             No mark: not measured, its load took too long.</text>",
            step_y * rows as f64 + NOTE / 2.0
        );
    }
    out.push_str("</svg>\n");
    out
}

/// The powers of ten that all values lie between.
fn decades(values: impl Iterator<Item = f64>) -> (i32, i32) {
    let logs: Vec<f64> = values.filter(|value| *value > 0.0).map(f64::log10).collect();
    let least = logs.iter().copied().fold(f64::INFINITY, f64::min).floor();
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max).ceil();
    if logs.is_empty() { (0, 1) } else { (least as i32, (most as i32).max(least as i32 + 1)) }
}

/// Where a value lies between its axis' ends, from 0 to 1.
fn along(value: f64, (least, most): (i32, i32)) -> f64 {
    (value.log10() - f64::from(least)) / f64::from(most - least)
}

fn draw(out: &mut String, panel: &Panel, sizes: (i32, i32), times: (i32, i32)) {
    let x = |value: f64| along(value, sizes) * WIDTH;
    let y = |value: f64| HEIGHT - along(value, times) * HEIGHT;
    let mut line = |text: String| out.push_str(&format!("{text}\n"));
    line(format!("<text x=\"0\" y=\"-16\" font-size=\"15\" font-weight=\"bold\">{}</text>", panel.title));
    for power in sizes.0..=sizes.1 {
        let (value, at) = (10f64.powi(power), x(10f64.powi(power)));
        line(format!("<path d=\"M{at:.1} 0V{HEIGHT}\" stroke=\"#dddddd\"/>"));
        line(format!("<text x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{value} MB</text>", HEIGHT + 18.0));
    }
    for power in times.0..=times.1 {
        let (value, at) = (10f64.powi(power), y(10f64.powi(power)));
        let shown = if value >= 1000.0 { format!("{} s", value / 1000.0) } else { format!("{value} ms") };
        line(format!("<path d=\"M0 {at:.1}H{WIDTH}\" stroke=\"#dddddd\"/>"));
        line(format!("<text x=\"-8\" y=\"{:.1}\" text-anchor=\"end\">{shown}</text>", at + 4.0));
    }
    line(format!("<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"none\" stroke=\"#666666\"/>"));
    line(format!(
        "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">size of the initrd</text>",
        WIDTH / 2.0,
        HEIGHT + 38.0
    ));
    // The names stand apart, however near the lines' ends are.
    let mut ends: Vec<(f64, &Series)> =
        panel.series.iter().filter_map(|it| it.points.last().map(|point| (y(point.time), it))).collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut above = f64::NEG_INFINITY;
    for (end, series) in ends {
        let at = |point: &Point| (x(point.size), y(point.time));
        let points: Vec<String> =
            series.points.iter().map(at).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let colour = &series.colour;
        line(format!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            points.join(" ")
        ));
        for point in &series.points {
            let (x, y) = at(point);
            line(if point.over {
                format!(
                    "<path d=\"M{:.1} {:.1}h12l-6 -11z\" fill=\"white\" stroke=\"{colour}\" stroke-width=\"2\"/>",
                    x - 6.0,
                    y + 4.0
                )
            } else {
                format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"{colour}\"/>")
            });
        }
        let below = end.max(above + 15.0);
        above = below;
        let right = series.points.last().map_or(0.0, |point| x(point.size));
        line(format!(
            "<text x=\"{:.1}\" y=\"{:.1}\" fill=\"{colour}\">{}</text>",
            right.max(WIDTH) + 8.0,
            below + 4.0,
            series.name
        ));
    }
}
