"""What ``splatmem`` says when it is asked nothing: what one can do, by task."""

from __future__ import annotations

TASKS: dict[str, dict[str, str]] = {
    "Make a film and a scene": {
        "flyaround PHOTO --out DIR": "from a photo, posed pictures, a panorama or words",
        "extend DIR --path orbit": "make more of a scene that was made before",
        "batch MANIFEST --out DIR": "many films: a row of the manifest for each",
    },
    "Look at a scene": {
        "explore PHOTO|DIR": "in the browser: look around live, let it grow, change it, film it",
        "render DIR --path arc --out FILE.mp4": "film it along another path",
        "film DIR SHOTS.yaml --out FILE.mp4": "film several shots, with cuts",
        "inspect DIR": "show its points and cameras",
    },
    "Change a scene": {
        "remove DIR --at X,Y": "take a thing away",
        "move, duplicate, recolour, crop, merge": "see the help of each",
        "undo DIR": "go back one step, exactly; redo goes forward again",
    },
    "Take it elsewhere": {
        "compact DIR --out DIR2": "nearly the same pictures in a tenth of the bytes",
        "export DIR scene.spz": "for other programs: .ply, .spz, .sog, .glb, .usdz, or .html for any browser",
        "export DIR --dataset DIR2": "frames, cameras and points, to train on",
        "cameras DIR FILE": "the film's cameras, for Blender, nerfstudio, COLMAP and others",
    },
    "Set up and measure": {
        "doctor": "say what works on this machine, and what to do about the rest",
        "models list": "bigger models: what they need, download them, check them",
        "models bench PRESET": "what fits on this GPU, and how long a film takes",
        "evaluate SCENES... --out DIR": "compare films with the truth",
        "judge DIR...": "have COLMAP find the cameras of films",
    },
}
"""By task: the usual form of a command, without the program's name, and what it does."""


def overview() -> str:
    """The overview as plain text."""
    lines = ["splatmem: one photo and a camera path in; a film in which nothing vanishes, and the scene itself, out.", ""]
    width = 2 + max(len(form) for forms in TASKS.values() for form in forms)
    for task, forms in TASKS.items():
        lines.append(task)
        lines += [f"  {form:{width}}{does}" for form, does in forms.items()]
        lines.append("")
    lines += [
        "Begin with:  splatmem flyaround PHOTO.jpg --out room --path spiral",
        "All options: splatmem COMMAND --help",
    ]
    return "\n".join(lines)
