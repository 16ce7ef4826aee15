// Brings changes to the pages as they happen. Everything but bringing files works
// without it.
"use strict";

const $ = (selector, from = document) => from.querySelector(selector);

// Says something to the person, also to one who listens.
let noticeTimer;
function say(text) {
  const notice = $("#notice");
  notice.textContent = text;
  notice.hidden = false;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { notice.hidden = true; }, 8000);
}

// Asks the daemon. A failure is an Error in its words.
async function ask(url, options = {}) {
  options.headers = { "X-Live": "1", ...options.headers };
  let answer;
  try {
    answer = await fetch(url, options);
  } catch {
    throw new Error("btclient does not answer. Is it still running?");
  }
  if (answer.ok) return answer;
  let problem = {};
  try { problem = await answer.json(); } catch { /* not in our words */ }
  throw new Error([problem.error || `the answer was ${answer.status}`, problem.hint].filter(Boolean).join(". "));
}

// Puts new content in place of old, leaving the keyboard focus and open menus where they were.
function replace(old, html) {
  const box = document.createElement("template");
  box.innerHTML = html.trim();
  const active = document.activeElement;
  const key = old.contains(active) && active.dataset.key;
  const open = [...old.querySelectorAll("details[open] > summary[data-key]")].map((s) => s.dataset.key);
  const fresh = box.content;
  for (const k of open) {
    const summary = fresh.querySelector(`summary[data-key="${k}"]`);
    if (summary) summary.parentElement.open = true;
  }
  const owner = key && (fresh.querySelector(`[data-key="${key}"]`));
  return { fresh, focus: () => owner && owner.focus() };
}

// Forms that need no other page.
document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.hasAttribute("data-act")) return;
  event.preventDefault();
  const body = new URLSearchParams(new FormData(form));
  if (event.submitter && event.submitter.name) body.set(event.submitter.name, event.submitter.value);
  const buttons = form.querySelectorAll("button");
  buttons.forEach((b) => { b.disabled = true; });
  try {
    const { to } = await (await ask(form.action, { method: "POST", body })).json();
    const menu = form.closest("details.menu");
    if (menu) menu.open = false;
    if (form.dataset.act === "go" && to) form.reset(), location.assign(to);
    else if (to && document.body.dataset.page === "job") location.assign(to);
    else refresh();
  } catch (err) {
    say(err.message);
  } finally {
    buttons.forEach((b) => { b.disabled = false; });
  }
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (button) {
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      say("Copied.");
    } catch {
      say(button.dataset.copy); // to be copied by hand
    }
  }
  // A menu closes when something else is clicked.
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    $("summary", menu).focus();
  }
});

// The part of a page that changes, fetched again.
let fetching = 0;
async function refresh(url = location.href) {
  const part = $("#part");
  if (!part) return;
  const mine = ++fetching;
  const at = new URL(url);
  at.searchParams.set("part", "1");
  at.hash = "";
  const html = await (await ask(at)).text();
  if (mine !== fetching) return; // a later one is under way
  if ($("details.menu[open]", part)) return; // not under somebody's finger
  const { fresh, focus } = replace(part, html);
  part.replaceChildren(fresh);
  focus();
}

// Not under somebody who is about to use or to copy something in it.
function inUse(part) {
  const active = document.activeElement;
  const selection = getSelection();
  return (part.contains(active) && !active.dataset.key) || (!selection.isCollapsed && part.contains(selection.anchorNode));
}

const part = $("#part[data-refresh]");
if (part) {
  const again = async () => {
    if (!document.hidden && !inUse(part)) {
      try { await refresh(); } catch (err) { say(err.message); }
    }
    setTimeout(again, Number(part.dataset.refresh));
  };
  setTimeout(again, Number(part.dataset.refresh));
}

// Search while typing.
const search = $("form[data-search]");
if (search) {
  let timer;
  const find = () => {
    const at = new URL(search.action);
    at.search = new URLSearchParams(new FormData(search)).toString();
    history.replaceState(null, "", at);
    refresh(at.href).catch((err) => say(err.message));
  };
  search.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(find, 120); });
  search.addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(timer); find(); });
}

// Lines of jobs, and the speeds above.
const lines = $("#lines");
const keep = {
  downloads: (line) => line.dataset.kind === "download" || !(line.classList.contains("done") || line.classList.contains("cancelled")),
  mine: (line) => line.classList.contains("done") || (line.dataset.kind === "publication" && !line.classList.contains("cancelled")),
};
function place(line) {
  const old = document.getElementById(line.id);
  if (old && old.dataset.order === line.dataset.order) return old.replaceWith(line);
  if (old) old.remove();
  const after = [...lines.children].find((other) => other.dataset.order > line.dataset.order);
  lines.insertBefore(line, after || null);
}
function counted() {
  const none = $("#none");
  if (none) none.hidden = lines.children.length > 0;
}

// A browser has six connections to one place, and each page that listens holds one: so
// only those do that somebody looks at.
let source = null;
let lost = false;
function listen() {
  source = new EventSource("/live");
  source.addEventListener("rates", (event) => {
    const rates = JSON.parse(event.data);
    $("#down").textContent = rates.down;
    $("#up").textContent = rates.up;
  });
  source.addEventListener("open", () => { if (lost) location.reload(); });
  source.addEventListener("error", () => { if (!lost) say("btclient does not answer. Is it still running?"); lost = true; });
  if (!lines) return;
  source.addEventListener("line", (event) => {
    const { id, html } = JSON.parse(event.data);
    const old = document.getElementById("job-" + id) || document.createElement("li");
    const { fresh, focus } = replace(old, html);
    const line = fresh.firstElementChild;
    if (keep[lines.dataset.lines](line)) {
      place(line);
      focus();
    } else {
      old.remove();
    }
    counted();
  });
  source.addEventListener("removed", (event) => {
    const old = document.getElementById("job-" + JSON.parse(event.data));
    if (old) old.remove();
    counted();
  });
}

// What happened while nobody looked.
async function catchUp() {
  if (!lines) return;
  const page = new DOMParser().parseFromString(await (await ask(location.href)).text(), "text/html");
  const now = page.getElementById("lines");
  if (now) lines.replaceChildren(...now.children);
  counted();
}

if ($("#down")) {
  listen();
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source.close();
      source = null;
    } else if (!source) {
      catchUp().catch((err) => say(err.message));
      listen();
    }
  });
}

// What has ended is new until somebody has looked.
const visit = $("form[data-visit]");
if (visit) {
  addEventListener("pagehide", () => navigator.sendBeacon(visit.action, new URLSearchParams()));
}

// Bringing a file or folder.
const upload = $("#upload");
if (upload) {
  const nameField = $("#upload-name");
  const progress = $("#upload-progress");
  const said = $("#upload-said");
  let files = []; // of { path, file }
  let running = null;

  const choose = (list, name) => {
    files = list;
    if (!files.length) return say("There is no file in it.");
    const bytes = files.reduce((sum, f) => sum + f.file.size, 0);
    $("#chosen").textContent = `${name}: ${files.length === 1 ? "1 file" : files.length + " files"}, ${bytes.toLocaleString()} bytes`;
    nameField.value = name;
    upload.hidden = false;
    said.textContent = "";
    nameField.focus();
  };
  $("#file").addEventListener("change", (event) => {
    const file = event.target.files[0];
    if (file) choose([{ path: file.name, file }], file.name);
  });
  $("#folder").addEventListener("change", (event) => {
    const list = [...event.target.files].map((file) => ({ path: file.webkitRelativePath, file }));
    if (list.length) choose(list, list[0].path.split("/")[0]);
  });

  // What was dropped may be a folder, which has to be walked.
  const walk = async (entry, path) => {
    if (entry.isFile) {
      const file = await new Promise((ok, bad) => entry.file(ok, bad));
      return [{ path: path + entry.name, file }];
    }
    const reader = entry.createReader();
    const found = [];
    for (;;) {
      const batch = await new Promise((ok, bad) => reader.readEntries(ok, bad));
      if (!batch.length) return found;
      for (const e of batch) found.push(...await walk(e, path + entry.name + "/"));
    }
  };
  const drop = $("#drop");
  drop.addEventListener("dragover", (event) => { event.preventDefault(); drop.classList.add("over"); });
  drop.addEventListener("dragleave", () => drop.classList.remove("over"));
  drop.addEventListener("drop", async (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry && item.webkitGetAsEntry()).filter(Boolean);
    if (!entries.length) return;
    const list = [];
    for (const e of entries) list.push(...await walk(e, entries.length > 1 ? "files/" : ""));
    choose(list, entries.length > 1 ? "files" : entries[0].name);
  });

  const put = (url, file, onProgress) => new Promise((ok, bad) => {
    const request = new XMLHttpRequest();
    running = request;
    request.open("PUT", url);
    request.setRequestHeader("X-Live", "1");
    request.upload.addEventListener("progress", (event) => onProgress(event.loaded));
    request.addEventListener("load", () => {
      if (request.status < 300) return ok();
      let problem = {};
      try { problem = JSON.parse(request.responseText); } catch { /* not in our words */ }
      bad(new Error(problem.error || `the answer was ${request.status}`));
    });
    request.addEventListener("error", () => bad(new Error("the connection to btclient broke")));
    request.addEventListener("abort", () => bad(new Error("stopped")));
    request.send(file);
  });

  $("#upload-stop").addEventListener("click", () => {
    if (running) running.abort();
    else upload.hidden = true;
  });
  upload.addEventListener("submit", async (event) => {
    event.preventDefault();
    const total = files.reduce((sum, f) => sum + f.file.size, 0) || 1;
    let before = 0;
    let id;
    progress.hidden = false;
    const begin = $("button[type=submit]", upload);
    begin.disabled = true;
    try {
      const json = { method: "POST", headers: { "Content-Type": "application/json" } };
      ({ id } = await (await ask("/api/v1/uploads", { ...json, body: JSON.stringify({ name: nameField.value }) })).json());
      for (const { path, file } of files) {
        said.textContent = `Bringing ${path}`;
        await put(`/api/v1/uploads/${id}/${path.split("/").map(encodeURIComponent).join("/")}`, file, (loaded) => {
          progress.value = 100 * (before + loaded) / total;
        });
        before += file.size;
      }
      await ask(`/api/v1/uploads/${id}`, { method: "POST" });
      location.assign("/mine");
    } catch (err) {
      said.textContent = err.message;
      progress.hidden = true;
      if (id) ask(`/api/v1/uploads/${id}`, { method: "DELETE" }).catch(() => {});
    } finally {
      running = null;
      begin.disabled = false;
    }
  });
}
