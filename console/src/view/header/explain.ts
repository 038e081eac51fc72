// "What happens in one tick?": the four steps in plain words, each with real messages of this tick.

import { eur, kwh, plain } from '../../format';
import { tickExample, type Deal } from '../../model/tick-example';
import { STEPS } from '../../model/messages';
import type { Site } from '../../model/site';
import { messageWords } from '../device-page/message-words';
import { put } from '../panels';

const get = <T extends HTMLElement>(id: string): T => document.getElementById(id) as T;
const WHAT: readonly string[] = [
  'Producers announce what they can sell. Everybody who needs energy bids: so much, for at most this price.',
  'Each seller serves the highest bids first and awards them energy. A buyer answers with a receipt for what it takes.',
  'What a cell does not have comes from its neighbours, and at last from the grid supply, at its price.',
  'Every device reports what it sold, bought and paid. An auditor recomputes every account.',
];

export class Explain {
  private held = false;
  private shown = '';
  private readonly panel = get('explain');
  private readonly button = get<HTMLButtonElement>('explain-open');
  private readonly hold = get<HTMLInputElement>('explain-hold');

  constructor(private readonly site: Site) {
    this.button.addEventListener('click', () => this.open(this.panel.hidden === true));
    this.hold.addEventListener('change', () => (this.held = this.hold.checked));
    get('explain-steps').replaceChildren(
      ...WHAT.map((text, index) => {
        const item = document.createElement('li');
        const title = document.createElement('h3');
        title.textContent = `${index + 1} ${Object.values(STEPS).find(([number]) => number === index + 1)?.[1] ?? ''}`;
        const words = document.createElement('p');
        words.textContent = text;
        const examples = document.createElement('ul');
        examples.id = `explain-${index + 1}`;
        item.append(title, words, examples);
        return item;
      }),
    );
  }

  open(isOpen: boolean): void {
    this.panel.hidden = !isOpen;
    this.button.setAttribute('aria-expanded', String(isOpen));
    this.shown = '';
    this.update();
  }

  /** Show the messages of the newest tick, unless the reader holds one. */
  update(): void {
    if (this.panel.hidden || (this.held && this.shown)) return;
    const example = tickExample(this.site);
    const lines = example
      ? [
          [example.supply, (example.own ?? example.imported)?.bid].flatMap((each) => (each ? [messageWords(each)] : [])),
          dealLines(example.own, 'Nothing was sold within a cell.'),
          dealLines(example.imported, 'Nothing had to come from elsewhere.'),
          [example.account ? `${example.account.device} reports: bought ${kwh(example.account.bought_wh)}, paid ${eur(example.account.paid_neur)}` : 'The accounts come at the end of the tick.'],
        ]
      : [['No tick yet.'], [], [], []];
    const key = JSON.stringify(lines);
    if (key === this.shown) return;
    this.shown = key;
    put('explain-tick', example ? `Real messages of tick ${plain(example.tick + 1)}` : '');
    lines.forEach((texts, index) => {
      get(`explain-${index + 1}`).replaceChildren(
        ...texts.map((text) => {
          const item = document.createElement('li');
          item.textContent = text;
          return item;
        }),
      );
    });
  }
}

function dealLines(deal: Deal | null, without: string): string[] {
  if (!deal) return [without];
  return [messageWords(deal.award), deal.receipt ? messageWords(deal.receipt) : 'The receipt has not come yet.'];
}
