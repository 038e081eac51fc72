// How the run stands once it is over: the result in a sentence, the report and other files, and a button for another run.

import type { RunState } from '../model/history';

const HEADS: Record<RunState['state'], string> = {
  starting: '',
  running: '',
  finished: 'Run finished',
  stopped: 'Run stopped: the finished ticks are kept',
  lost: 'The run ended too early',
};

export class RunEnd {
  private shown = '';

  constructor(
    private readonly holder: HTMLElement,
    private readonly again: () => void,
  ) {}

  /** Show a run's end, and hide it where the run goes on; `connected` says that its server is still there. */
  show(run: RunState | null, connected: boolean): void {
    const key = JSON.stringify(run && [run.state, run.mode, run.result, run.good, run.report, run.progress, run.files, run.again, run.reason, connected]);
    if (key === this.shown) return;
    this.shown = key;
    const over = run !== null && HEADS[run.state] !== '';
    this.holder.hidden = !over;
    if (!over) return this.holder.replaceChildren();
    const head = document.createElement('p');
    head.className = 'result';
    head.textContent = run.result ?? (run.reason ? `${HEADS[run.state]}: ${run.reason}` : HEADS[run.state]);
    this.holder.dataset['good'] = String(run.good && run.state !== 'lost');
    this.holder.replaceChildren(head, ...(connected ? this.links(run) : [note('The program that showed this page has ended; this is its last picture.')]));
  }

  private links(run: RunState): HTMLElement[] {
    const found: HTMLElement[] = [];
    if (run.report) found.push(link('Report', run.report));
    else if (run.progress !== null) {
      const bar = document.createElement('progress');
      bar.value = run.progress;
      const label = document.createElement('label');
      label.append('The report is being made ', bar);
      found.push(label);
    }
    found.push(...run.files.map(([name, address]) => link(name, address)));
    if (run.again) {
      const button = document.createElement('button');
      button.type = 'button';
      button.id = 'run-again';
      button.textContent = 'Run again';
      button.addEventListener('click', () => {
        button.disabled = true;
        this.again();
      });
      found.push(button);
    }
    return found;
  }
}

function link(name: string, address: string): HTMLElement {
  const made = document.createElement('a');
  made.textContent = name;
  made.href = address;
  made.target = '_blank';
  made.rel = 'noopener';
  return made;
}

function note(text: string): HTMLElement {
  const made = document.createElement('span');
  made.textContent = text;
  return made;
}
