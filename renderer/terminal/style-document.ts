/*
 * The terminal widget writes style elements, which the page's content policy refuses. It takes a document to create
 * its elements with; this one gives it elements that look the same to it and put their rules into constructed style
 * sheets instead, which the policy allows.
 */

/** A document like `base` whose style elements are constructed style sheets. */
export function styleSafeDocument(base: Document): Document {
  return new Proxy(base, {
    get: (target, property) => {
      if (property === 'createElement') {
        return (tag: string) => createElement(target, tag);
      }
      const value: unknown = Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/**
 * Runs `work` while the real document creates such elements too: one part of the widget takes it whatever document it
 * was given, when it is opened.
 */
export function withSafeStyles(base: Document, work: () => void): void {
  const create = base.createElement.bind(base);
  const plain = new Proxy(base, {
    get: (target, property) => {
      const value: unknown =
        property === 'createElement' ? create : Reflect.get(target, property, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
    set: (target, property, value) => Reflect.set(target, property, value, target),
  });
  Object.defineProperty(base, 'createElement', {
    configurable: true,
    value: (tag: string) => createElement(plain, tag),
  });
  try {
    work();
  } finally {
    Reflect.deleteProperty(base, 'createElement');
  }
}

function createElement(base: Document, tag: string): HTMLElement {
  if (tag.toLowerCase() === 'style') {
    return createStyle(base);
  }
  const element = base.createElement(tag);
  if (tag.toLowerCase() === 'span') {
    // Rows colour their cells through the attribute, which the policy refuses; the style object it allows.
    const setAttribute = element.setAttribute.bind(element);
    element.setAttribute = (name, value) => {
      if (name === 'style') {
        element.style.cssText = value;
      } else {
        setAttribute(name, value);
      }
    };
  }
  return element;
}

function createStyle(base: Document): HTMLElement {
  const sheet = new CSSStyleSheet();
  const element = base.createElement('span');
  element.hidden = true;
  let rules = '';
  Object.defineProperty(element, 'textContent', {
    get: () => rules,
    set: (value: string) => {
      rules = value;
      sheet.replaceSync(value);
    },
  });
  base.adoptedStyleSheets = [...base.adoptedStyleSheets, sheet];
  const remove = element.remove.bind(element);
  element.remove = () => {
    base.adoptedStyleSheets = base.adoptedStyleSheets.filter((other) => other !== sheet);
    remove();
  };
  return element;
}
