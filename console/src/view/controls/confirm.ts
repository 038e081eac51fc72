// Asks before something that cannot be taken back.

const get = (id: string): HTMLElement => document.getElementById(id)!;

/** Ask a question; resolves to whether the answer was yes. Escape and the second button are no. */
export function confirmed(title: string, text: string, yes: string): Promise<boolean> {
  const dialog = get('confirm') as HTMLDialogElement;
  get('confirm-title').textContent = title;
  get('confirm-text').textContent = text;
  get('confirm-yes').textContent = yes;
  dialog.returnValue = 'no';
  dialog.showModal();
  get('confirm-no').focus();
  return new Promise((resolve) => {
    dialog.addEventListener('close', () => resolve(dialog.returnValue === 'yes'), { once: true });
  });
}
