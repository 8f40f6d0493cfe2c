// Problems: asked from the server, shown in the code and in the list below it.

import { linter, lintGutter } from "@codemirror/lint";

import { post } from "./server.js";

export function serverCheck(address, onProblems, onFailure) {
  let running = null;
  const source = async (view) => {
    running?.abort();
    running = new AbortController();
    try {
      const doc = view.state.doc;
      const { problems } = await post(address, { source: doc.toString() }, { signal: running.signal });
      onProblems(problems, view);
      return problems.map((problem) => toDiagnostic(problem, doc));
    } catch (error) {
      if (error.name !== "AbortError") onFailure(error);
      return [];
    }
  };
  return [linter(source, { delay: 600 }), lintGutter()];
}

export function placeOf(problem, doc) {
  const line = doc.line(Math.min(Math.max(problem.line, 1), doc.lines));
  return Math.min(line.from + problem.column - 1, line.to);
}

function toDiagnostic(problem, doc) {
  const from = placeOf(problem, doc);
  const line = doc.lineAt(from);
  const word = /^\w+/.exec(line.text.slice(from - line.from));
  const to = word ? from + word[0].length : Math.min(from + 1, line.to);
  return { from: Math.min(from, to), to, severity: problem.severity, message: problem.message };
}

export function listProblems(problems, view) {
  const items = problems.map((problem) => {
    const item = document.createElement("li");
    item.className = `problem problem-${problem.severity}`;
    const button = document.createElement("button");
    button.type = "button";
    button.append(
      span("problem-place", `${problem.line}:${problem.column}`),
      span("problem-text", "", span("problem-mark", problem.severity === "error" ? "Error" : "Warning"), ` ${problem.message}`),
    );
    button.addEventListener("click", () => {
      view.dispatch({ selection: { anchor: placeOf(problem, view.state.doc) }, scrollIntoView: true });
      view.focus();
    });
    item.append(button);
    return item;
  });
  document.getElementById("problems").replaceChildren(...items);
  const count = document.getElementById("problem-count");
  count.textContent = problems.length;
  count.className = problems.some((problem) => problem.severity === "error")
    ? "badge badge-bad"
    : problems.length
      ? "badge badge-warn"
      : "badge";
  document.getElementById("no-problems").hidden = problems.length > 0;
}

function span(name, text, ...rest) {
  const element = document.createElement("span");
  element.className = name;
  element.append(text, ...rest);
  return element;
}
