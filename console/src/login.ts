// The way to the broker, and the login that lasts: a reload keeps it, and all tabs of a browser share one connection.

import type { FromWorker, Login, ToWorker } from './connection';

const SAVED = 'gridfleet-login';

/**
 * Open the worker that holds the connection; `receive` gets its messages. A broker with users lets each be connected
 * once, so there the tabs of a browser share the worker, where the browser has shared workers.
 */
export function openConnection(isShared: boolean, receive: (message: FromWorker) => void): (message: ToWorker) => void {
  if (isShared && 'SharedWorker' in window) {
    const { port } = new SharedWorker(new URL('./connection.ts', import.meta.url), { type: 'module' });
    port.onmessage = ({ data }: MessageEvent<FromWorker>) => receive(data);
    return (message) => port.postMessage(message);
  }
  const worker = new Worker(new URL('./connection.ts', import.meta.url), { type: 'module' });
  worker.onmessage = ({ data }: MessageEvent<FromWorker>) => receive(data);
  return (message) => worker.postMessage(message);
}

/** The login of this tab, kept by the browser until the tab is closed; null without one. */
export function savedLogin(): Login | null {
  try {
    const kept = JSON.parse(sessionStorage.getItem(SAVED) ?? 'null') as Login | null;
    return typeof kept?.username === 'string' && typeof kept.password === 'string' ? kept : null;
  } catch {
    return null;
  }
}

export function saveLogin(login: Login | null): void {
  if (login) sessionStorage.setItem(SAVED, JSON.stringify(login));
  else sessionStorage.removeItem(SAVED);
}
