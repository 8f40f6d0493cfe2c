// The editor page: the textarea becomes an editor that checks, saves and runs.

import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap } from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { pythonLanguage } from "@codemirror/lang-python";
import { indentOnInput } from "@codemirror/language";
import { lintKeymap } from "@codemirror/lint";
import { searchKeymap } from "@codemirror/search";
import { EditorState } from "@codemirror/state";
import { EditorView, highlightActiveLine, highlightActiveLineGutter, keymap } from "@codemirror/view";

import { completeStrategy, strategyHover } from "./completion.js";
import { dropDraft, keepDraft, readDraft } from "./draft.js";
import { listProblems, serverCheck } from "./problems.js";
import { post } from "./server.js";
import { codeSetup, followTheme } from "./setup.js";

const status = document.getElementById("save-status");
const place = document.getElementById("cursor-place");

function say(sentence, kind = "") {
  status.textContent = sentence;
  status.className = kind;
}

class Page {
  constructor(form) {
    this.form = form;
    this.mode = form.dataset.editor; // new, edit or read
    this.textarea = form.elements.source;
    this.isRefused = form.hasAttribute("data-unsaved"); // the server sent the text back without saving it
    this.savedText = this.textarea.value;
    this.isLeaving = false;
    this.saving = null;
    this.view = new EditorView({ parent: form.querySelector(".editor-host"), doc: this.textarea.value, extensions: this.extensions() });
    followTheme(this.view);
    form.querySelector(".editor-host").hidden = false;
    this.textarea.hidden = true;
    form.querySelector(".editor-hints").hidden = false;
    form.addEventListener("submit", (event) => this.onSubmit(event));
    addEventListener("beforeunload", (event) => {
      if (this.isDirty && !this.isLeaving) event.preventDefault();
    });
    this.offerDraft();
    this.showState();
    this.goToLine(Number(new URLSearchParams(location.search).get("line")));
  }

  // A failed run links to the line that failed: ?line=12.
  goToLine(number) {
    const { doc } = this.view.state;
    if (!Number.isInteger(number) || number < 1 || number > doc.lines) return;
    const { from } = doc.line(number);
    this.view.dispatch({ selection: { anchor: from }, effects: EditorView.scrollIntoView(from, { y: "center" }) });
    this.view.focus();
  }

  get text() {
    return this.view.state.doc.toString();
  }

  get isDirty() {
    if (this.mode === "read") return false;
    return this.isRefused || this.text !== this.savedText;
  }

  get basedOn() {
    return this.form.elements.based_on?.value ?? "";
  }

  extensions() {
    const common = [codeSetup(this.form.dataset.cspNonce, "Strategy code"), strategyHover];
    if (this.mode === "read") return [common, EditorState.readOnly.of(true)];
    return [
      common,
      history(),
      indentOnInput(),
      closeBrackets(),
      highlightActiveLine(),
      highlightActiveLineGutter(),
      autocompletion(),
      pythonLanguage.data.of({ autocomplete: completeStrategy }),
      serverCheck(this.form.dataset.checkUrl, listProblems, (error) => this.onCheckFailed(error)),
      keymap.of([
        { key: "Mod-s", preventDefault: true, run: () => this.command(false) },
        { key: "Mod-Enter", preventDefault: true, run: () => this.command(true) },
        ...closeBracketsKeymap,
        ...completionKeymap,
        ...defaultKeymap,
        ...searchKeymap,
        ...historyKeymap,
        ...lintKeymap,
        indentWithTab,
      ]),
      EditorView.updateListener.of((update) => this.onUpdate(update)),
    ];
  }

  command(isRun) {
    const button = isRun ? document.querySelector("button[form=editor][name=then]") : null;
    this.form.requestSubmit(button);
    return true;
  }

  onUpdate(update) {
    const head = update.state.selection.main.head;
    const line = update.state.doc.lineAt(head);
    place.textContent = `Line ${line.number}, column ${head - line.from + 1}`;
    if (!update.docChanged) return;
    this.showState();
    clearTimeout(this.draftTimer);
    this.draftTimer = setTimeout(() => {
      if (this.isDirty) keepDraft(this.form.dataset.draft, this.text, this.basedOn);
      else dropDraft(this.form.dataset.draft);
    }, 500);
  }

  showState() {
    if (this.mode === "read") say("");
    else if (this.isDirty) say("Unsaved changes", "state-dirty");
    else if (this.mode === "edit") say("Saved", "state-saved");
    else say("");
  }

  onCheckFailed(error) {
    if (!this.saving) say(error.message, "state-bad");
  }

  // A new strategy is saved by the form itself: the answer is another page.
  onSubmit(event) {
    this.textarea.value = this.text;
    const isRun = event.submitter?.name === "then";
    if (this.mode !== "edit") {
      this.isLeaving = true;
      return;
    }
    event.preventDefault();
    this.save(isRun);
  }

  async save(isRun) {
    if (this.saving) {
      await this.saving;
      if (this.isDirty || isRun) return this.save(isRun);
      return;
    }
    this.saving = this.send();
    const isSaved = await this.saving;
    this.saving = null;
    if (isSaved && isRun) {
      this.isLeaving = true;
      location.assign(this.form.dataset.runUrl);
    }
  }

  async send() {
    const text = this.text;
    say("Saving …");
    try {
      const answer = await post(this.form.action, { source: text, based_on: this.basedOn });
      this.onSaved(text, answer);
      return true;
    } catch (error) {
      if (error.status === 409) this.showConflict(text);
      else say(`Not saved. ${error.message}`, "state-bad");
      return false;
    }
  }

  onSaved(text, answer) {
    this.savedText = text;
    this.isRefused = false;
    this.form.elements.based_on.value = answer.number;
    document.getElementById("version-badge").textContent = `version ${answer.number}`;
    document.getElementById("strategy-side").innerHTML = answer.side;
    if (!this.isDirty) dropDraft(this.form.dataset.draft);
    this.showState();
    if (!this.isDirty) say(`Saved as version ${answer.number}`, "state-saved");
  }

  // The server shows both texts on a page of its own; sending the form again, without the script, brings it.
  showConflict(text) {
    this.isLeaving = true;
    this.textarea.value = text;
    this.form.submit();
  }

  offerDraft() {
    const { draft: id } = this.form.dataset;
    const offer = document.getElementById("draft-offer");
    if (this.mode === "read") return;
    if (this.mode === "edit" && readDraft("new")?.text === this.text) dropDraft("new");
    const draft = readDraft(id);
    if (!draft || this.isRefused) return;
    if (draft.text === this.text) {
      dropDraft(id);
      return;
    }
    offer.querySelector("time").textContent = new Date(draft.at).toLocaleString();
    offer.hidden = false;
    offer.querySelector("[data-draft-take]").addEventListener("click", () => {
      this.view.dispatch({ changes: { from: 0, to: this.view.state.doc.length, insert: draft.text } });
      // Saving then meets the versions that came after the draft, instead of covering them.
      if (draft.basedOn && this.form.elements.based_on) this.form.elements.based_on.value = draft.basedOn;
      offer.hidden = true;
      this.view.focus();
    });
    offer.querySelector("[data-draft-drop]").addEventListener("click", () => {
      dropDraft(id);
      offer.hidden = true;
    });
  }
}

export function openEditor(form) {
  return new Page(form);
}
