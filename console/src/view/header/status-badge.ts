// The badge that says how fresh the page is; the title of the window says it, too.

import type { Status } from '../../model/status';
import { put } from '../panels';

export function showStatus({ state, text, live }: Status, site: string): void {
  document.getElementById('live')!.dataset['state'] = state;
  put('live', text);
  document.body.classList.toggle('stale', state === 'off' || state === 'stale');
  const title = `${live ? '' : `${text} · `}${site} – GridFleet`;
  if (document.title !== title) document.title = title;
}
