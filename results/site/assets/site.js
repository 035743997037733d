"use strict";
// Adds to the pages what they can do without: filters, another axis for the
// columns of a grid, copying of commands, and, in the live server, updates.

const wanted = { state: "", kernel: "", workload: "", text: "" };

function filterItems() {
	const text = wanted.text.toLowerCase();
	let shown = 0, all = 0;
	for (const item of document.querySelectorAll("[data-item]")) {
		const d = item.dataset;
		const words = item.textContent + " " + (d.values || "");
		const fits = ["state", "kernel", "workload"].every((n) => !wanted[n] || d[n] === undefined || d[n] === wanted[n]) &&
			words.toLowerCase().includes(text);
		if (item.localName === "td") {
			item.classList.toggle("off", !fits);
			continue;
		}
		item.hidden = !fits;
		all++;
		shown += fits ? 1 : 0;
	}
	for (const row of document.querySelectorAll("#grid tbody tr")) {
		const cells = [...row.querySelectorAll("td.cell")];
		row.hidden = cells.length > 0 && cells.every((c) => c.classList.contains("off"));
	}
	for (const out of document.querySelectorAll("form.filter output")) {
		out.textContent = shown === all ? "" : shown + " of " + all + " shown";
	}
}

function startFilter() {
	for (const form of document.querySelectorAll("form.filter")) {
		form.hidden = false;
		for (const name of Object.keys(wanted)) {
			const field = form.elements[name];
			if (!field) {
				continue;
			}
			field.value = wanted[name];
			if (field.value !== wanted[name]) { // the value is gone from the page
				field.value = wanted[name] = "";
			}
			field.addEventListener("input", () => { wanted[name] = field.value; filterItems(); });
		}
		form.addEventListener("submit", (e) => e.preventDefault());
	}
	filterItems();
}

// The grid, with the values of another axis as columns.
let columns = "";

function element(name, text, attributes) {
	const e = document.createElement(name);
	e.textContent = text;
	for (const [key, value] of Object.entries(attributes || {})) {
		e.setAttribute(key, value);
	}
	return e;
}

function turn(grid, axis) {
	const axes = JSON.parse(grid.dataset.axes);
	const cells = [...grid.querySelectorAll("td.cell")].map((td) => ({ td, values: JSON.parse(td.dataset.values) }));
	const valuesOf = (i) => [...new Set(cells.map((c) => c.values[i]))];
	const column = axes.indexOf(axis);
	const rows = axes.map((_, i) => i).filter((i) => i !== column && valuesOf(i).length > 1);
	const order = order0(grid, axes);
	const sorted = (i) => valuesOf(i).sort((a, b) => order[i].indexOf(a) - order[i].indexOf(b));
	const heads = sorted(column);
	const lines = new Map();
	for (const c of cells) {
		const key = JSON.stringify(rows.map((i) => c.values[i]));
		if (!lines.has(key)) {
			lines.set(key, { head: rows.map((i) => c.values[i]), cells: [] });
		}
		lines.get(key).cells[heads.indexOf(c.values[column])] = c.td;
	}
	const list = [...lines.values()].sort((a, b) => {
		for (let j = 0; j < rows.length; j++) {
			const by = order[rows[j]].indexOf(a.head[j]) - order[rows[j]].indexOf(b.head[j]);
			if (by) {
				return by;
			}
		}
		return 0;
	});
	const head = document.createElement("tr");
	head.append(...rows.map((i) => element("th", axes[i], { scope: "col", class: "axis" })), ...heads.map((v) => element("th", v, { scope: "col" })));
	const body = list.map((line, n) => {
		const tr = document.createElement("tr");
		let same = n > 0;
		line.head.forEach((value, j) => {
			same = same && list[n - 1].head[j] === value;
			tr.append(element("th", value, same ? { scope: "row", class: "same" } : { scope: "row" }));
		});
		for (let i = 0; i < heads.length; i++) {
			tr.append(line.cells[i] || element("td", "", { class: "none", "aria-label": "no such cell" }));
		}
		return tr;
	});
	grid.tHead.replaceChildren(head);
	grid.tBodies[0].replaceChildren(...body);
}

// The order of the values of all axes is that of the page as it came.
function order0(grid, axes) {
	if (!grid.order) {
		const seen = [...grid.querySelectorAll("td.cell")].map((td) => JSON.parse(td.dataset.values));
		const list = [...document.querySelectorAll("tr[data-values]")].map((tr) => JSON.parse(tr.dataset.values));
		grid.order = axes.map((_, i) => [...new Set([...list, ...seen].map((v) => v[i]))]);
	}
	return grid.order;
}

function startTurn() {
	const form = document.querySelector("form.turn"), grid = document.getElementById("grid");
	if (!form || !grid) {
		return;
	}
	form.hidden = false;
	const field = form.elements.columns;
	const set = () => { turn(grid, field.value); filterItems(); };
	field.addEventListener("input", () => { columns = field.value; set(); });
	form.addEventListener("submit", (e) => e.preventDefault());
	if (columns && columns !== field.value) {
		field.value = columns;
		set();
	}
}

function startCopy() {
	if (!navigator.clipboard) {
		return;
	}
	for (const box of document.querySelectorAll(".copy")) {
		const button = element("button", "Copy", { type: "button" });
		button.addEventListener("click", async () => {
			await navigator.clipboard.writeText(box.querySelector("code").textContent);
			button.textContent = "Copied";
		});
		box.append(button);
	}
}

// Live: the server says which campaigns have changed; a page that shows one of
// them is fetched again and its content exchanged.
let fetching = false, again = false;

async function update() {
	if (fetching) {
		again = true;
		return;
	}
	fetching = true;
	try {
		const answer = await fetch(location.href, { cache: "no-store" });
		if (answer.ok) {
			exchange(new DOMParser().parseFromString(await answer.text(), "text/html"));
		}
	} catch {
		// The event stream notices that the server is gone.
	}
	fetching = false;
	if (again) {
		again = false;
		update();
	}
}

function exchange(page) {
	const old = document.getElementById("main"), main = page.getElementById("main");
	const log = old.querySelector(".log");
	const atEnd = log && log.scrollTop + log.clientHeight >= log.scrollHeight - 4;
	const from = log && log.scrollTop;
	const open = [...old.querySelectorAll("details[open][id]")].map((d) => d.id);
	const active = document.activeElement;
	const focus = active && old.contains(active) && (active.name ? `[name="${active.name}"]` : active.getAttribute("href") && `a[href="${CSS.escape(active.getAttribute("href"))}"]`);
	old.replaceChildren(...main.childNodes);
	document.title = page.title;
	for (const id of open) {
		const d = document.getElementById(id);
		if (d) {
			d.open = true;
		}
	}
	start();
	const fresh = old.querySelector(".log");
	if (fresh && log) {
		fresh.scrollTop = atEnd ? fresh.scrollHeight : from;
	}
	const target = focus && old.querySelector(focus);
	if (target) {
		target.focus({ preventScroll: true });
	}
}

function startLive() {
	const url = document.body.dataset.events, campaign = document.body.dataset.campaign;
	if (!url || !window.EventSource) {
		return;
	}
	const sign = document.getElementById("live");
	const source = new EventSource(url);
	let lost = false;
	source.addEventListener("open", () => {
		sign.textContent = "live";
		sign.className = "";
		if (lost) {
			lost = false;
			update();
		}
	});
	source.addEventListener("error", () => {
		lost = true;
		sign.textContent = "connection lost";
		sign.className = "lost";
	});
	source.addEventListener("change", (e) => {
		const changed = JSON.parse(e.data).campaigns;
		if (!campaign || changed.includes(campaign)) {
			update();
		}
	});
}

function start() {
	startFilter();
	startTurn();
	startCopy();
}

start();
startLive();
