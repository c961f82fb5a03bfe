import { chmod, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type RunResult, runOrThrow } from '../../engine/base/node/run.ts';
import type { Docker } from '../fixtures/docker.ts';
import { startEngine, type TestEngine } from '../fixtures/engine.ts';
import { clearEngine } from './leftovers.ts';
import { words } from './session.ts';

let engine: TestEngine;
let docker: Docker;

beforeAll(async () => {
  engine = await startEngine();
  docker = engine.docker;
});
beforeEach(({ onTestFailed }) => {
  onTestFailed(async () => {
    await clearEngine(engine);
  });
});
afterAll(async () => {
  await engine?.[Symbol.asyncDispose]();
});

/** A folder with files by name. */
async function context(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(join(engine.folder, 'context-'));
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  return folder;
}

async function build(folder: string, flags = '', ...more: string[]): Promise<RunResult> {
  return await docker(words(`build ${flags}`, ...more, folder), { env: { DOCKER_BUILDKIT: '0' } });
}

async function built(folder: string, flags = '', ...more: string[]): Promise<string> {
  const result = await build(folder, flags, ...more);
  expect(result.stderr).toBe('');
  expect(result.exitCode, result.stdout).toBe(0);
  return result.stdout;
}

async function inspect(image: string, format: string): Promise<string> {
  return await docker.ok(words('inspect --type image -f', format, image));
}

async function shell(image: string, line: string): Promise<string> {
  return await docker.ok(words(`run --rm ${image} sh -c`, line));
}

describe('docker build', () => {
  it('runs steps, shows them, tags, caches, and leaves no container', async () => {
    const folder = await context({
      Dockerfile:
        'FROM busybox\n# comment\nCOPY file /file\nRUN echo built >/built && echo seen\nCMD ["cat", "/built"]\n',
      file: 'one\n',
    });
    const first = await built(folder, '-t first:1 -t first:2');
    expect(first).toMatch(
      /^Sending build context to Docker daemon [^\n]*\nStep 1\/4 : FROM busybox\n ---> [0-9a-f]{12}\nStep 2\/4 : COPY file \/file\n ---> [0-9a-f]{12}\nStep 3\/4 : RUN echo built >\/built && echo seen\n ---> Running in [0-9a-f]{12}\nseen\n ---> Removed intermediate container [0-9a-f]{12}\n ---> [0-9a-f]{12}\nStep 4\/4 : CMD \["cat", "\/built"\]\n[^]*Successfully built [0-9a-f]{12}\nSuccessfully tagged first:1\nSuccessfully tagged first:2$/m,
    );
    expect(await docker.ok(words('run --rm first:1'))).toBe('built');
    expect(await docker.ok(words('ps -aq'))).toBe('');
    const again = await built(folder, '-t first:3');
    expect(again.match(/Using cache/g)).toHaveLength(3);
    expect(await inspect('first:3', '{{.Id}}')).toBe(await inspect('first:1', '{{.Id}}'));
    await writeFile(join(folder, 'file'), 'two\n');
    const changed = await built(folder, '-t first:4');
    expect(changed).not.toContain('Using cache');
    expect(changed).toContain('seen');
    expect(await shell('first:4', 'cat /file')).toBe('two');
    expect(await built(folder, '--no-cache')).not.toContain('Using cache');
    expect(await built(folder, '-q')).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    const history = await docker.ok(words('history --no-trunc --format {{.CreatedBy}} first:4'));
    expect(history.split('\n').slice(0, 3)).toEqual([
      '/bin/sh -c #(nop)  CMD ["cat" "/built"]',
      '/bin/sh -c echo built >/built && echo seen',
      expect.stringMatching(/^\/bin\/sh -c #\(nop\) COPY file:[0-9a-f]{64} in \/file $/),
    ]);
    await docker.ok(words('rmi first:1 first:2 first:3 first:4'));
  });

  it('sets everything an image can carry', async () => {
    const folder = await context({
      Dockerfile: `# escape=\`
FROM busybox
LABEL a=b c="d e"
ENV A=1 B="two words" PATH2=\${PATH}:/x
ENV OLD style value
WORKDIR /srv
WORKDIR sub
USER www-data
EXPOSE 80 53/udp
VOLUME ["/vol"]
STOPSIGNAL SIGUSR1
HEALTHCHECK --interval=5s --retries=2 CMD test -f /ok
SHELL ["/bin/sh", "-ec"]
ENTRYPOINT ["echo"]
CMD ["$A", \`
  "x"]
MAINTAINER someone
`,
    });
    await built(folder, '-t config --label built=yes');
    expect(JSON.parse(await inspect('config', '{{json .Config}}'))).toMatchObject({
      Labels: { a: 'b', c: 'd e', built: 'yes' },
      Env: expect.arrayContaining(['A=1', 'B=two words', 'OLD=style value']) as unknown,
      WorkingDir: '/srv/sub',
      User: 'www-data',
      ExposedPorts: { '80/tcp': {}, '53/udp': {} },
      Volumes: { '/vol': {} },
      StopSignal: 'SIGUSR1',
      Healthcheck: { Test: ['CMD-SHELL', 'test -f /ok'], Interval: 5_000_000_000, Retries: 2 },
      Shell: ['/bin/sh', '-ec'],
      Entrypoint: ['echo'],
      Cmd: ['$A', 'x'],
    });
    expect(await inspect('config', '{{.Author}}')).toBe('someone');
    expect(await docker.ok(words('run --rm config'))).toBe('$A x');
    await docker.ok(words('rmi config'));
  });

  it('takes arguments with their scopes', async () => {
    const folder = await context({
      Dockerfile: `ARG BASE=nosuch
FROM $BASE
ARG BASE
ARG WITH=default
ARG NAME
RUN echo "<$BASE|$WITH|$NAME|$HTTP_PROXY>" >/args
ENV NAME=from-env
RUN echo "<$NAME>" >>/args
ENV KEPT=\${WITH:-none}-\${NAME:+set}
`,
    });
    await built(
      folder,
      '-t args --build-arg BASE=busybox --build-arg NAME=n --build-arg HTTP_PROXY=p',
    );
    expect(await shell('args', 'cat /args; echo $KEPT')).toBe(
      '<busybox|default|n|p>\n<from-env>\ndefault-set',
    );
    const other = await built(folder, '-t args --build-arg BASE=busybox --build-arg NAME=m');
    expect(other).toContain('Using cache');
    expect(await shell('args', 'head -1 /args')).toBe('<busybox|default|m|>');
    const unused = await build(folder, '--build-arg BASE=busybox --build-arg nosuch=1');
    expect(unused.stdout + unused.stderr).toContain(
      '[Warning] One or more build-args [nosuch] were not consumed',
    );
    await docker.ok(words('rmi args'));
  });

  it('builds stages side by side and copies between them, up to a target', async () => {
    const folder = await context({
      Dockerfile: `FROM busybox AS Base
RUN mkdir /out && echo base >/out/base
FROM base AS one
RUN echo one >/out/one
FROM busybox AS two
RUN mkdir -p /out/deep && echo two >/out/deep/two && ln -s deep/two /out/link && chown -R 33:33 /out
FROM busybox
COPY --from=one /out/ /got/
COPY --from=2 /out /got/
COPY --from=busybox /etc/passwd /got/passwd
`,
    });
    const text = await built(folder, '-t stages');
    expect([...text.matchAll(/^Step (\d+)\/10 : /gm)].map((match) => match[1])).toEqual(
      Array.from({ length: 10 }, (_, index) => String(index + 1)),
    );
    expect(
      await shell(
        'stages',
        'cd /got; cat base one deep/two link; grep -c root passwd; stat -c %u deep/two',
      ),
    ).toBe('base\none\ntwo\ntwo\n1\n33');
    await built(folder, '-t target --target one');
    expect(await shell('target', 'ls /out')).toBe('base\none');
    const missing = await build(folder, '--target nosuch');
    expect(missing.exitCode).toBe(1);
    expect(missing.stderr).toMatch(
      /failed to reach build target nosuch in Dockerfile|target stage "?nosuch"? could not be found/,
    );
    await docker.ok(words('rmi stages target'));
  });

  it('copies with rules: ignored files, wildcards, folders, owners and modes', async () => {
    const folder = await context({
      Dockerfile: `FROM busybox
COPY . /all/
COPY a*.txt dir /some/
COPY --chown=www-data:33 --chmod=640 b.txt /owned/b
ADD a1.txt /deep/new/name
COPY ["with space.txt", "/spaced/"]
WORKDIR /desk
COPY b.txt .
COPY dir/sub/ ./sub2
`,
      '.dockerignore': '# no\n*.log\n!keep.log\n**/secret\ndir/skip\n',
      'a1.txt': 'a1\n',
      'a2.txt': 'a2\n',
      'b.txt': 'b\n',
      'with space.txt': 's\n',
      'no.log': 'x',
      'keep.log': 'x',
      'dir/inner': 'inner\n',
      'dir/skip/x': 'x',
      'dir/sub/secret': 'x',
      'dir/sub/open': 'open\n',
    });
    await chmod(join(folder, 'dir/inner'), 0o755);
    await built(folder, '-t copies');
    expect(
      await shell(
        'copies',
        'cd /all && find . -type f | sort | tr "\\n" " "; echo; ls /some | tr "\\n" " "; echo; stat -c "%u:%g %a" /owned/b /some/inner; cat /deep/new/name /spaced/* /desk/b.txt; ls /desk/sub2; pwd',
      ),
    ).toBe(
      './.dockerignore ./Dockerfile ./a1.txt ./a2.txt ./b.txt ./dir/inner ./dir/sub/open ./keep.log ./with space.txt \na1.txt a2.txt inner sub \n33:33 640\n0:0 755\na1\ns\nb\nopen\n/all',
    );
    const refusals: readonly [string, RegExp][] = [
      [
        'COPY nosuch /',
        /COPY failed: (file not found in build context or excluded by .dockerignore: stat nosuch|no source files were specified)/,
      ],
      [
        'COPY no.log /',
        /file not found in build context or excluded by \.dockerignore: stat no\.log/,
      ],
      ['COPY ../up /', /COPY failed: forbidden path outside the build context: \.\.\/up/],
      [
        'COPY a1.txt a2.txt /x',
        /When using COPY with more than one source file, the destination must be a directory and end with a \//,
      ],
      ['COPY a1.txt', /COPY requires at least two arguments/],
    ];
    for (const [line, expected] of refusals) {
      await writeFile(join(folder, 'Bad'), `FROM busybox\n${line}\n`);
      const result = await build(folder, '-f', join(folder, 'Bad'));
      expect(result.exitCode, line).toBe(1);
      expect(result.stderr, line).toMatch(expected);
    }
    await docker.ok(words('rmi copies'));
  });

  it('unpacks archives, downloads, and reads here-documents', async () => {
    const folder = await context({
      'in/packed': 'from the archive\n',
      script: '#!/bin/sh\n',
    });
    await runOrThrow('tar', ['-C', join(folder, 'in'), '-czf', join(folder, 'a.tar.gz'), 'packed']);
    const server: Server = createServer((_, response) => response.end('downloaded\n'));
    const port = await new Promise<number>((resolve) => {
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        resolve(typeof address === 'object' && address !== null ? address.port : 0);
      });
    });
    await writeFile(
      join(folder, 'Dockerfile'),
      `FROM busybox
ADD a.tar.gz /unpacked/
COPY a.tar.gz /kept/
ADD http://127.0.0.1:${port}/remote.txt /down/
ENV WHO=you
COPY <<one.txt <<"two.txt" /docs/
hello $WHO
one.txt
plain $WHO
two.txt
RUN <<END
echo first >/heredoc
echo "second $WHO" >>/heredoc
END
`,
    );
    try {
      await built(folder, '-t adds');
    } finally {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
    }
    expect(
      await shell(
        'adds',
        'cat /unpacked/packed /down/remote.txt /docs/one.txt /docs/two.txt /heredoc; ls /kept; stat -c %a /down/remote.txt',
      ),
    ).toBe('from the archive\ndownloaded\nhello you\nplain $WHO\nfirst\nsecond you\na.tar.gz\n600');
    await docker.ok(words('rmi adds'));
  });

  it('leaves triggers for the next build', async () => {
    const parent = await context({
      Dockerfile: 'FROM busybox\nONBUILD COPY mine /mine\nONBUILD RUN cat /mine >/made\n',
    });
    await built(parent, '-t parent');
    expect(await inspect('parent', '{{json .Config.OnBuild}}')).toBe(
      '["COPY mine /mine","RUN cat /mine >/made"]',
    );
    const child = await context({ Dockerfile: 'FROM parent\n', mine: 'of the child\n' });
    expect(await built(child, '-t child')).toContain('# Executing 2 build triggers');
    expect(await shell('child', 'cat /made')).toBe('of the child');
    expect(await inspect('child', '{{json .Config.OnBuild}}')).toBe('null');
    await docker.ok(words('rmi child parent'));
  });

  it('says what failed and keeps nothing of it', async () => {
    const cases: readonly [string, RegExp, number][] = [
      [
        'FROM busybox\nRUN echo before; exit 7\n',
        /The command '\/bin\/sh -c echo before; exit 7' returned a non-zero code: 7/,
        7,
      ],
      [
        'FROM busybox\nRUN ["/nosuch"]\n',
        /nosuch.*(no such file or directory|executable file not found)/,
        1,
      ],
      [
        'FROM busybox\nNOSUCH x\n',
        /dockerfile parse error (on )?line 2: unknown instruction: NOSUCH/i,
        1,
      ],
      ['RUN x\n', /no build stage in current context/, 1],
      ['', /the Dockerfile \(Dockerfile\) cannot be empty|file with no instructions/i, 1],
      ['FROM nosuch.invalid/x\n', /nosuch\.invalid/, 1],
      ['FROM busybox\nUSER nobodyknows\nRUN true\n', /unable to find user nobodyknows/, 1],
      [
        'FROM busybox\nRUN --mount=type=cache,target=/x true\n',
        /the --mount option requires BuildKit/,
        1,
      ],
    ];
    for (const [text, expected, code] of cases) {
      const folder = await context({ Dockerfile: text });
      const result = await build(folder, '--force-rm');
      expect(result.stderr, text).toMatch(expected);
      expect(result.exitCode, text).toBe(code);
    }
    expect((await build(await context({ x: '' }))).exitCode).toBe(1);
    expect(await docker.ok(words('ps -aq'))).toBe('');
  });

  it('takes its context from standard input and limits and networks from flags', async () => {
    const text =
      'FROM busybox\nRUN ls /sys/class/net >/nets; ulimit -n >>/nets; cat /etc/hosts >>/nets\n';
    const piped = await docker(
      words('build -t piped --network none --ulimit nofile=99:99 --add-host a.test:192.0.2.1 -'),
      {
        env: { DOCKER_BUILDKIT: '0' },
        input: text,
      },
    );
    expect(piped.stderr).toBe('');
    expect(piped.exitCode).toBe(0);
    expect(await shell('piped', 'cat /nets')).toMatch(/^lo\n99\n/);
    await docker.ok(words('rmi piped'));
    expect(await docker.ok(words('builder prune -f'))).toContain('Total reclaimed space');
    await docker.ok(words('image prune -f'));
    expect((await docker.ok(words('images -aq'))).split('\n')).toHaveLength(1);
  });
});
