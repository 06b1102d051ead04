//! The sentences that `Findings` carries, which are English, in the languages of the report.
//!
//! A row is one sentence in every language, English first as the findings write it; `{}` stands for what varies: a number, which is
//! written as the language does, or a word or sentence that has a row of its own. What has no row stays English and is marked as such.

use crate::Language;

/// English, German, French, Spanish.
const SENTENCES: &[[&str; 4]] = &[
    // ---- Words that are filled in.
    ["right upper lobe", "rechter Oberlappen", "lobe supérieur droit", "lóbulo superior derecho"],
    ["right middle lobe", "Mittellappen", "lobe moyen", "lóbulo medio"],
    ["right lower lobe", "rechter Unterlappen", "lobe inférieur droit", "lóbulo inferior derecho"],
    ["left upper lobe", "linker Oberlappen", "lobe supérieur gauche", "lóbulo superior izquierdo"],
    ["left lower lobe", "linker Unterlappen", "lobe inférieur gauche", "lóbulo inferior izquierdo"],
    ["right lung", "rechte Lunge", "poumon droit", "pulmón derecho"],
    ["left lung", "linke Lunge", "poumon gauche", "pulmón izquierdo"],
    // ---- Place in the worklist.
    [
        "More than half of a lung is opaque (CT-{}).",
        "Mehr als die Hälfte einer Lunge ist verdichtet (CT-{}).",
        "Plus de la moitié d’un poumon est opaque (CT-{}).",
        "Más de la mitad de un pulmón está opacificada (CT-{}).",
    ],
    [
        "{} % of the lung volume are opaque.",
        "{} % des Lungenvolumens sind verdichtet.",
        "{} % du volume pulmonaire sont opaques.",
        "El {} % del volumen pulmonar está opacificado.",
    ],
    [
        "The CT severity score is {} of 25.",
        "Der CT Severity Score beträgt {} von 25.",
        "Le score de sévérité TDM est de {} sur 25.",
        "La puntuación de gravedad TC es {} de 25.",
    ],
    [
        "A quarter to a half of a lung is opaque (CT-2).",
        "Ein Viertel bis die Hälfte einer Lunge ist verdichtet (CT-2).",
        "Un quart à la moitié d’un poumon est opaque (CT-2).",
        "Entre un cuarto y la mitad de un pulmón está opacificado (CT-2).",
    ],
    [
        "The pattern suggests CO-RADS {}: the patient may have to be isolated.",
        "Das Muster spricht für CO-RADS {}: eine Isolierung ist zu erwägen.",
        "L’aspect évoque CO-RADS {} : un isolement du patient est à envisager.",
        "El patrón sugiere CO-RADS {}: puede ser necesario aislar al paciente.",
    ],
    [
        "Less than a quarter of either lung is opaque (CT-1).",
        "Von jeder Lunge ist weniger als ein Viertel verdichtet (CT-1).",
        "Moins d’un quart de chaque poumon est opaque (CT-1).",
        "Menos de un cuarto de cada pulmón está opacificado (CT-1).",
    ],
    [
        "No opacity was found.",
        "Es wurde keine Verdichtung gefunden.",
        "Aucune opacité n’a été trouvée.",
        "No se encontró ninguna opacidad.",
    ],
    // ---- What a suggested CO-RADS rests on.
    [
        "No opacity of relevant size was found. Non-infectious changes such as emphysema, nodules or fibrosis were not looked for.",
        "Es wurde keine Verdichtung von Belang gefunden. Nach nicht infektiösen Veränderungen wie Emphysem, Rundherden oder Fibrose wurde nicht gesucht.",
        "Aucune opacité de taille significative n’a été trouvée. Les anomalies non infectieuses (emphysème, nodules, fibrose) n’ont pas été recherchées.",
        "No se encontró ninguna opacidad de tamaño relevante. No se buscaron cambios no infecciosos como enfisema, nódulos o fibrosis.",
    ],
    [
        "Both lungs are involved.",
        "Beide Lungen sind betroffen.",
        "Les deux poumons sont atteints.",
        "Ambos pulmones están afectados.",
    ],
    [
        "Only one lung is involved to a relevant extent.",
        "Nur eine Lunge ist in nennenswertem Ausmaß betroffen.",
        "Un seul poumon est atteint de façon significative.",
        "Solo un pulmón está afectado de forma relevante.",
    ],
    [
        "There are several separate foci.",
        "Es bestehen mehrere getrennte Herde.",
        "Il existe plusieurs foyers distincts.",
        "Hay varios focos separados.",
    ],
    [
        "There is no more than one focus of relevant size.",
        "Es besteht höchstens ein Herd von Belang.",
        "Il n’existe pas plus d’un foyer de taille significative.",
        "No hay más de un foco de tamaño relevante.",
    ],
    [
        "{} % of the opacities lie within {} mm of the outer surface of the lung, which holds {} % of the lung.",
        "{} % der Verdichtungen liegen höchstens {} mm unter der Lungenoberfläche; dort liegen {} % der Lunge.",
        "{} % des opacités se situent à moins de {} mm de la surface externe du poumon, zone qui contient {} % du poumon.",
        "El {} % de las opacidades se encuentra a menos de {} mm de la superficie externa del pulmón, zona que contiene el {} % del pulmón.",
    ],
    [
        "{} % lie behind the centre of the lung and {} % in the lower lobes.",
        "{} % liegen hinter der Lungenmitte und {} % in den Unterlappen.",
        "{} % se situent en arrière du centre du poumon et {} % dans les lobes inférieurs.",
        "El {} % se encuentra por detrás del centro del pulmón y el {} % en los lóbulos inferiores.",
    ],
    [
        "{} % of the opacities are ground-glass.",
        "{} % der Verdichtungen sind Milchglas.",
        "{} % des opacités sont en verre dépoli.",
        "El {} % de las opacidades es vidrio deslustrado.",
    ],
    [
        "Ground-glass and consolidation were not told apart.",
        "Milchglas und Konsolidierung wurden nicht unterschieden.",
        "Verre dépoli et condensation n’ont pas été distingués.",
        "No se distinguió entre vidrio deslustrado y consolidación.",
    ],
    [
        "Consolidation of a single lobe is typical of other infections.",
        "Die Konsolidierung eines einzelnen Lappens ist typisch für andere Infektionen.",
        "La condensation d’un seul lobe est typique d’autres infections.",
        "La consolidación de un solo lóbulo es típica de otras infecciones.",
    ],
    [
        "Peripheral consolidations in both lungs without much ground-glass are suspicious but not typical.",
        "Periphere Konsolidierungen beider Lungen ohne viel Milchglas sind verdächtig, aber nicht typisch.",
        "Des condensations périphériques des deux poumons sans verre dépoli étendu sont suspectes mais non typiques.",
        "Las consolidaciones periféricas en ambos pulmones sin mucho vidrio deslustrado son sospechosas pero no típicas.",
    ],
    [
        "Consolidation without other typical findings is equivocal.",
        "Konsolidierung ohne andere typische Befunde ist unklar.",
        "Une condensation sans autre signe typique est équivoque.",
        "La consolidación sin otros hallazgos típicos es equívoca.",
    ],
    [
        "The opacities make up less than {} % of the lungs: too little to tell a pattern.",
        "Die Verdichtungen machen weniger als {} % der Lungen aus: zu wenig für ein Muster.",
        "Les opacités représentent moins de {} % des poumons : trop peu pour reconnaître un aspect.",
        "Las opacidades suponen menos del {} % de los pulmones: demasiado poco para reconocer un patrón.",
    ],
    [
        "Extensive homogeneous opacity is equivocal.",
        "Ausgedehnte homogene Verdichtung ist unklar.",
        "Une opacité étendue et homogène est équivoque.",
        "Una opacidad extensa y homogénea es equívoca.",
    ],
    [
        "Peripheral multifocal ground-glass in both lungs is typical.",
        "Peripheres multifokales Milchglas beider Lungen ist typisch.",
        "Un verre dépoli périphérique multifocal des deux poumons est typique.",
        "El vidrio deslustrado periférico multifocal en ambos pulmones es típico.",
    ],
    [
        "The distribution is typical, but the kind of opacity is not known.",
        "Die Verteilung ist typisch, die Art der Verdichtung aber nicht bekannt.",
        "La distribution est typique, mais le type d’opacité n’est pas connu.",
        "La distribución es típica, pero no se conoce el tipo de opacidad.",
    ],
    [
        "The opacities are peripheral, but not multifocal in both lungs.",
        "Die Verdichtungen liegen peripher, aber nicht multifokal in beiden Lungen.",
        "Les opacités sont périphériques, mais non multifocales dans les deux poumons.",
        "Las opacidades son periféricas, pero no multifocales en ambos pulmones.",
    ],
    [
        "The opacities lie around the hila, which is equivocal.",
        "Die Verdichtungen liegen um die Hili, was unklar ist.",
        "Les opacités sont péri-hilaires, ce qui est équivoque.",
        "Las opacidades son perihiliares, lo que es equívoco.",
    ],
    [
        "The opacities are multifocal in both lungs, but not predominantly peripheral.",
        "Die Verdichtungen sind multifokal in beiden Lungen, aber nicht überwiegend peripher.",
        "Les opacités sont multifocales dans les deux poumons, mais non à prédominance périphérique.",
        "Las opacidades son multifocales en ambos pulmones, pero no de predominio periférico.",
    ],
    [
        "The distribution is not typical.",
        "Die Verteilung ist nicht typisch.",
        "La distribution n’est pas typique.",
        "La distribución no es típica.",
    ],
    [
        "Slices {} mm apart blur small structures into apparent ground-glass: the pattern is not graded higher.",
        "Schichten im Abstand von {} mm lassen kleine Strukturen als Milchglas erscheinen: das Muster wird nicht höher eingestuft.",
        "Des coupes espacées de {} mm donnent à de petites structures l’apparence de verre dépoli : l’aspect n’est pas classé plus haut.",
        "Los cortes separados {} mm hacen que estructuras pequeñas parezcan vidrio deslustrado: el patrón no se gradúa más alto.",
    ],
    // ---- Quality.
    [
        "The slices lie {} mm apart: small opacities may be missed and volumes are less exact.",
        "Die Schichten liegen {} mm auseinander: kleine Verdichtungen können übersehen werden, Volumina sind ungenauer.",
        "Les coupes sont espacées de {} mm : de petites opacités peuvent être manquées et les volumes sont moins exacts.",
        "Los cortes están separados {} mm: pueden pasarse por alto opacidades pequeñas y los volúmenes son menos exactos.",
    ],
    [
        "The images differ from those the models were trained on: check every outline.",
        "Die Bilder unterscheiden sich von denen, mit denen die Modelle trainiert wurden: jede Kontur prüfen.",
        "Les images diffèrent de celles sur lesquelles les modèles ont été entraînés : vérifier chaque contour.",
        "Las imágenes difieren de aquellas con las que se entrenaron los modelos: compruebe cada contorno.",
    ],
    [
        "The lungs measure {} l, less than expected of an adult: scanned in expiration, not imaged completely, a child, or not found completely.",
        "Die Lungen messen {} l, weniger als bei Erwachsenen zu erwarten: in Ausatmung, nicht vollständig abgebildet, ein Kind oder nicht vollständig gefunden.",
        "Les poumons mesurent {} l, moins qu’attendu chez un adulte : acquisition en expiration, imagerie incomplète, enfant, ou détection incomplète.",
        "Los pulmones miden {} l, menos de lo esperado en un adulto: en espiración, no incluidos por completo, un niño, o no encontrados por completo.",
    ],
    [
        "The lungs measure {} l, more than expected of an adult: check their outline.",
        "Die Lungen messen {} l, mehr als bei Erwachsenen zu erwarten: ihre Kontur prüfen.",
        "Les poumons mesurent {} l, plus qu’attendu chez un adulte : vérifier leur contour.",
        "Los pulmones miden {} l, más de lo esperado en un adulto: compruebe su contorno.",
    ],
    [
        "The {} was not found: missing, opaque throughout, or not imaged.",
        "{}: nicht gefunden (fehlend, vollständig verdichtet oder nicht abgebildet).",
        "{} : non trouvé (absent, entièrement opaque ou non imagé).",
        "{}: no encontrado (ausente, totalmente opaco o no incluido).",
    ],
    [
        "The {} makes up {} % of both: check its outline.",
        "{}: nur {} % beider Lungen; Kontur prüfen.",
        "{} : {} % des deux poumons ; vérifier son contour.",
        "{}: {} % de ambos; compruebe su contorno.",
    ],
    [
        "The {} was not found, so it has no percentage and no score.",
        "{}: nicht gefunden, daher ohne Prozentwert und Score.",
        "{} : non trouvé, donc sans pourcentage ni score.",
        "{}: no encontrado, por lo que no tiene porcentaje ni puntuación.",
    ],
    ["The {} was not found.", "{}: nicht gefunden.", "{} : non trouvé.", "{}: no encontrado."],
    [
        "At least one fissure was hardly seen or is not to be trusted: lobe volumes and scores per lobe are estimates.",
        "Mindestens eine Fissur war kaum zu sehen oder ist nicht verlässlich: Lappenvolumina und Scores je Lappen sind Schätzungen.",
        "Au moins une scissure est à peine visible ou peu fiable : les volumes et scores par lobe sont des estimations.",
        "Al menos una cisura apenas se vio o no es fiable: los volúmenes y puntuaciones por lóbulo son estimaciones.",
    ],
    [
        "The pixels of {} mm are coarser than the network was taught on.",
        "Die Pixel von {} mm sind gröber als die, mit denen das Netz trainiert wurde.",
        "Les pixels de {} mm sont plus grossiers que ceux de l’entraînement du réseau.",
        "Los píxeles de {} mm son más gruesos que los del entrenamiento de la red.",
    ],
    // ---- Lungs.
    [
        "The lung bases are cut off by the scan ({} cm² of lung in the lowest slice).",
        "Die Lungenbasen sind angeschnitten ({} cm² Lunge in der untersten Schicht).",
        "Les bases pulmonaires sont coupées par l’acquisition ({} cm² de poumon dans la coupe la plus basse).",
        "Las bases pulmonares están cortadas por la adquisición ({} cm² de pulmón en el corte más bajo).",
    ],
    [
        "The lung apices are cut off by the scan ({} cm² of lung in the highest slice).",
        "Die Lungenspitzen sind angeschnitten ({} cm² Lunge in der obersten Schicht).",
        "Les apex pulmonaires sont coupés par l’acquisition ({} cm² de poumon dans la coupe la plus haute).",
        "Los vértices pulmonares están cortados por la adquisición ({} cm² de pulmón en el corte más alto).",
    ],
    [
        "The lungs reach the edge of the picture: part of them is not in the scan.",
        "Die Lungen reichen an den Bildrand: ein Teil von ihnen ist nicht abgebildet.",
        "Les poumons atteignent le bord de l’image : une partie n’est pas dans l’acquisition.",
        "Los pulmones llegan al borde de la imagen: una parte no está incluida en la exploración.",
    ],
    [
        "The {} is very small ({} ml).",
        "{}: sehr klein ({} ml).",
        "{} : très petit ({} ml).",
        "{}: muy pequeño ({} ml).",
    ],
    [
        "No trachea was found; large bronchi may be counted as lung.",
        "Es wurde keine Trachea gefunden; große Bronchien können als Lunge gezählt sein.",
        "Aucune trachée n’a été trouvée ; de grosses bronches peuvent être comptées comme poumon.",
        "No se encontró la tráquea; los bronquios grandes pueden contarse como pulmón.",
    ],
    [
        "The lungs touch and were parted along their junction.",
        "Die Lungen berühren sich und wurden an ihrer Grenze getrennt.",
        "Les poumons se touchent et ont été séparés le long de leur jonction.",
        "Los pulmones se tocan y se separaron a lo largo de su unión.",
    ],
    [
        "The lungs could not be told apart and were cut at the midline.",
        "Die Lungen ließen sich nicht unterscheiden und wurden in der Mitte getrennt.",
        "Les poumons n’ont pas pu être distingués et ont été séparés sur la ligne médiane.",
        "No se pudieron distinguir los pulmones y se separaron en la línea media.",
    ],
    [
        "{} ml of dense lung against the chest wall were added by their place inside the ribs; dense lung against the diaphragm may be missing, and opacity be more than stated.",
        "{} ml dichte Lunge an der Thoraxwand wurden nach ihrer Lage innerhalb der Rippen hinzugenommen; dichte Lunge am Zwerchfell kann fehlen, die Verdichtung also größer sein als angegeben.",
        "{} ml de poumon dense contre la paroi thoracique ont été ajoutés d’après leur place à l’intérieur des côtes ; du poumon dense contre le diaphragme peut manquer, et les opacités être plus étendues qu’indiqué.",
        "Se añadieron {} ml de pulmón denso junto a la pared torácica por su lugar dentro de las costillas; puede faltar pulmón denso junto al diafragma, y la opacidad ser mayor de lo indicado.",
    ],
    [
        "About {} ml between lung and ribs have the density of fluid, or of dense lung without air, and are not counted as lung.",
        "Etwa {} ml zwischen Lunge und Rippen haben die Dichte von Flüssigkeit oder luftleerer Lunge und zählen nicht zur Lunge.",
        "Environ {} ml entre poumon et côtes ont la densité d’un liquide, ou d’un poumon dense sans air, et ne sont pas comptés comme poumon.",
        "Unos {} ml entre pulmón y costillas tienen densidad de líquido, o de pulmón denso sin aire, y no se cuentan como pulmón.",
    ],
    // ---- Images.
    [
        "Within the slices the edges of the lungs are blurred as if by {} mm (standard deviation), {}: opacities are smeared, and what lies beside vessels, chest wall and diaphragm may be taken for opacity.",
        "In den Schichten sind die Lungenränder wie um {} mm (Standardabweichung) verwischt, {}: Verdichtungen sind verschmiert, und was an Gefäßen, Thoraxwand und Zwerchfell liegt, kann für Verdichtung gehalten werden.",
        "Dans les coupes, les bords des poumons sont flous comme de {} mm (écart type), {} : les opacités sont étalées, et ce qui borde vaisseaux, paroi et diaphragme peut être pris pour une opacité.",
        "En los cortes, los bordes de los pulmones están borrosos como por {} mm (desviación estándar), {}: las opacidades se difuminan, y lo que rodea vasos, pared torácica y diafragma puede tomarse por opacidad.",
    ],
    [
        "along one direction and not along the other, as by motion or a doubled picture",
        "in einer Richtung und nicht in der anderen, wie durch Bewegung oder ein Doppelbild",
        "dans une direction et non dans l’autre, comme par mouvement ou image dédoublée",
        "en una dirección y no en la otra, como por movimiento o imagen doble",
    ],
    [
        "by a very soft kernel, motion or processing",
        "durch einen sehr weichen Kernel, Bewegung oder Nachverarbeitung",
        "par un filtre très mou, un mouvement ou un traitement",
        "por un filtro muy blando, movimiento o procesado",
    ],
    [
        "Beside the chest wall lung dips by {} HU: an edge-enhancing kernel or filter. Opacities may be found too small or missed; choose a series with a softer kernel if there is one.",
        "Neben der Thoraxwand fällt die Lungendichte um {} HE ab: ein kantenbetonender Kernel oder Filter. Verdichtungen können zu klein gefunden oder übersehen werden; wenn vorhanden, eine Serie mit weicherem Kernel wählen.",
        "Contre la paroi thoracique, la densité du poumon chute de {} UH : filtre rehaussant les contours. Des opacités peuvent être sous-estimées ou manquées ; choisir une série au filtre plus mou si elle existe.",
        "Junto a la pared torácica la densidad del pulmón cae {} UH: un filtro que realza los bordes. Las opacidades pueden encontrarse demasiado pequeñas o pasarse por alto; elija una serie con un filtro más blando si la hay.",
    ],
    [
        "Rings about the middle of the picture make up {} % of what differs between neighbouring pixels: the detector needs calibration. Densities are not to be relied on.",
        "Ringe um die Bildmitte machen {} % der Unterschiede benachbarter Pixel aus: der Detektor muss kalibriert werden. Dichtewerte sind nicht verlässlich.",
        "Des anneaux autour du centre de l’image font {} % des différences entre pixels voisins : le détecteur doit être calibré. Les densités ne sont pas fiables.",
        "Los anillos alrededor del centro de la imagen suponen el {} % de las diferencias entre píxeles vecinos: el detector necesita calibración. Las densidades no son fiables.",
    ],
    [
        "{} % of the tissue outside the lungs is thinner than fat, as by dark streaks (metal, arms, too few photons), rings, or gas in the soft tissue. Densities in the lungs may be wrong as well.",
        "{} % des Gewebes außerhalb der Lungen sind weniger dicht als Fett, wie durch dunkle Streifen (Metall, Arme, zu wenige Photonen), Ringe oder Gas im Weichgewebe. Auch die Dichtewerte der Lungen können falsch sein.",
        "{} % des tissus hors des poumons sont moins denses que la graisse, comme par des stries sombres (métal, bras, manque de photons), des anneaux ou du gaz dans les parties molles. Les densités des poumons peuvent aussi être fausses.",
        "El {} % del tejido fuera de los pulmones es menos denso que la grasa, como por bandas oscuras (metal, brazos, pocos fotones), anillos o gas en partes blandas. Las densidades de los pulmones también pueden ser erróneas.",
    ],
    [
        "Noise of {} HU from pixel to pixel, by dose or a sharp kernel: opacities may be missed or found too small. Choose a series with a softer kernel if there is one.",
        "Rauschen von {} HE von Pixel zu Pixel, durch Dosis oder einen scharfen Kernel: Verdichtungen können übersehen oder zu klein gefunden werden. Wenn vorhanden, eine Serie mit weicherem Kernel wählen.",
        "Bruit de {} UH d’un pixel à l’autre, par la dose ou un filtre dur : des opacités peuvent être manquées ou sous-estimées. Choisir une série au filtre plus mou si elle existe.",
        "Ruido de {} UH de píxel a píxel, por la dosis o un filtro duro: las opacidades pueden pasarse por alto o encontrarse demasiado pequeñas. Elija una serie con un filtro más blando si la hay.",
    ],
    [
        "Air lies at {} and soft tissue at {}, in Hounsfield units about −1000 and −100 to 80: the series is not calibrated, or its Rescale Slope and Intercept are wrong. Densities, outlines and volumes are not to be relied on.",
        "Luft liegt bei {} und Weichgewebe bei {}, in Hounsfield-Einheiten etwa −1000 und −100 bis 80: die Serie ist nicht kalibriert, oder Rescale Slope und Intercept sind falsch. Dichten, Konturen und Volumina sind nicht verlässlich.",
        "L’air est à {} et les tissus mous à {}, en unités Hounsfield environ −1000 et −100 à 80 : la série n’est pas calibrée, ou Rescale Slope et Intercept sont faux. Densités, contours et volumes ne sont pas fiables.",
        "El aire está en {} y el tejido blando en {}, en unidades Hounsfield unos −1000 y −100 a 80: la serie no está calibrada, o Rescale Slope e Intercept son erróneos. Densidades, contornos y volúmenes no son fiables.",
    ],
    [
        "Heart, aorta and liver lie on the other side than usual: left and right are exchanged in the series, or the patient has a situs inversus. Check before relying on sides and lobes.",
        "Herz, Aorta und Leber liegen auf der anderen Seite als üblich: links und rechts sind in der Serie vertauscht, oder es besteht ein Situs inversus. Prüfen, bevor Seiten und Lappen verwendet werden.",
        "Cœur, aorte et foie sont du côté inhabituel : gauche et droite sont inversées dans la série, ou le patient a un situs inversus. Vérifier avant de se fier aux côtés et aux lobes.",
        "Corazón, aorta e hígado están en el lado contrario al habitual: izquierda y derecha están intercambiadas en la serie, o el paciente tiene situs inversus. Compruébelo antes de fiarse de lados y lóbulos.",
    ],
    // ---- What is not determined.
    [
        "The study was not analysed. {}",
        "Die Untersuchung wurde nicht ausgewertet. {}",
        "L’examen n’a pas été analysé. {}",
        "El estudio no se analizó. {}",
    ],
    [
        "There is no opacity, so it has no distribution.",
        "Es gibt keine Verdichtung, also keine Verteilung.",
        "Il n’y a pas d’opacité, donc pas de distribution.",
        "No hay opacidad, por lo que no hay distribución.",
    ],
    [
        "No classifier is offered: there are no honest data here to teach and test one on whole CTs in HU.",
        "Es wird kein Klassifikator angeboten: es fehlen verlässliche Daten, um einen auf ganzen CTs in HE zu trainieren und zu prüfen.",
        "Aucun classificateur n’est proposé : il manque des données fiables pour en entraîner et tester un sur des scanners entiers en UH.",
        "No se ofrece ningún clasificador: faltan datos fiables para entrenar y probar uno con TC completas en UH.",
    ],
    [
        "No slice showed enough lung to be held against what the model learned from.",
        "Keine Schicht zeigte genug Lunge, um sie mit den Trainingsdaten des Modells zu vergleichen.",
        "Aucune coupe ne montrait assez de poumon pour être comparée aux données d’entraînement du modèle.",
        "Ningún corte mostró suficiente pulmón para compararlo con los datos de entrenamiento del modelo.",
    ],
    [
        "The opacities are those of a reader, not of the model.",
        "Die Verdichtungen sind die eines Befunders, nicht des Modells.",
        "Les opacités sont celles d’un lecteur, non du modèle.",
        "Las opacidades son las de un lector, no las del modelo.",
    ],
    [
        "The images are unlike those the model was measured on: how far it errs here is not known.",
        "Die Bilder gleichen nicht denen, an denen das Modell gemessen wurde: wie weit es hier irrt, ist nicht bekannt.",
        "Les images ne ressemblent pas à celles sur lesquelles le modèle a été évalué : son erreur ici n’est pas connue.",
        "Las imágenes no se parecen a aquellas con las que se evaluó el modelo: no se sabe cuánto yerra aquí.",
    ],
    [
        "The network looks at axial slices, and those of this series are not axial.",
        "Das Netz sieht axiale Schichten, und die dieser Serie sind nicht axial.",
        "Le réseau lit des coupes axiales, et celles de cette série ne le sont pas.",
        "La red lee cortes axiales, y los de esta serie no lo son.",
    ],
    ["It was not determined.", "Nicht bestimmt.", "Non déterminé.", "No determinado."],
    ["It is the only series.", "Es ist die einzige Serie.", "C’est la seule série.", "Es la única serie."],
    ["axial", "axial", "axiale", "axial"],
    ["coronal", "koronar", "coronale", "coronal"],
    ["sagittal", "sagittal", "sagittale", "sagital"],
    ["oblique", "schräg", "oblique", "oblicua"],
    [
        "The input does not say.",
        "Die Eingabe sagt es nicht.",
        "Les données d’entrée ne le disent pas.",
        "Los datos de entrada no lo indican.",
    ],
    // ---- Follow-up.
    [
        "The earlier result holds no image, so the inside of the lungs was aligned by their outline alone.",
        "Das frühere Ergebnis enthält kein Bild, daher wurde das Lungeninnere allein nach der Kontur ausgerichtet.",
        "Le résultat antérieur ne contient pas d’image : l’intérieur des poumons a été aligné d’après leur seul contour.",
        "El resultado anterior no contiene imagen, así que el interior de los pulmones se alineó solo por su contorno.",
    ],
    [
        "Vessels and fissures of the two studies hardly agree (correlation {}): they may be of different patients.",
        "Gefäße und Fissuren der beiden Untersuchungen stimmen kaum überein (Korrelation {}): sie können von verschiedenen Patienten sein.",
        "Vaisseaux et scissures des deux examens concordent à peine (corrélation {}) : ils peuvent être de patients différents.",
        "Vasos y cisuras de los dos estudios apenas concuerdan (correlación {}): pueden ser de pacientes distintos.",
    ],
    [
        "Only {} % of the lungs are in both scans; opacities elsewhere are not compared.",
        "Nur {} % der Lungen sind in beiden Untersuchungen abgebildet; Verdichtungen anderswo sind nicht verglichen.",
        "Seuls {} % des poumons figurent dans les deux examens ; les opacités ailleurs ne sont pas comparées.",
        "Solo el {} % de los pulmones está en ambas exploraciones; las opacidades en otros lugares no se comparan.",
    ],
    [
        "The outlines of the lungs do not lie well on each other (overlap {}).",
        "Die Konturen der Lungen liegen nicht gut aufeinander (Überlappung {}).",
        "Les contours des poumons se superposent mal (recouvrement {}).",
        "Los contornos de los pulmones no se superponen bien (solapamiento {}).",
    ],
    [
        "The deformation folded over itself and was smoothed: places may be off by some millimetres.",
        "Die Verformung faltete sich und wurde geglättet: Orte können um einige Millimeter abweichen.",
        "La déformation se repliait et a été lissée : les positions peuvent être décalées de quelques millimètres.",
        "La deformación se plegaba y se suavizó: las posiciones pueden estar desplazadas algunos milímetros.",
    ],
    [
        "The Patient IDs differ; the comparison was asked for all the same.",
        "Die Patient IDs unterscheiden sich; der Vergleich wurde dennoch verlangt.",
        "Les Patient ID diffèrent ; la comparaison a été demandée malgré tout.",
        "Los Patient ID difieren; la comparación se pidió de todos modos.",
    ],
    [
        "At least one of the studies names no patient, so that they are of the same one rests on the sender's word.",
        "Mindestens eine der Untersuchungen nennt keinen Patienten; dass es derselbe ist, beruht auf dem Wort des Absenders.",
        "Au moins un des examens ne nomme pas de patient : qu’il s’agisse du même repose sur la parole de l’expéditeur.",
        "Al menos uno de los estudios no nombra al paciente; que sea el mismo se basa en la palabra del remitente.",
    ],
    [
        "The study given as earlier is dated after this one.",
        "Die als früher angegebene Untersuchung ist nach dieser datiert.",
        "L’examen donné comme antérieur est daté après celui-ci.",
        "El estudio indicado como anterior tiene fecha posterior a este.",
    ],
    [
        "The interval is unknown: a study carries no date.",
        "Der Abstand ist unbekannt: eine Untersuchung trägt kein Datum.",
        "L’intervalle est inconnu : un examen ne porte pas de date.",
        "Se desconoce el intervalo: un estudio no lleva fecha.",
    ],
    [
        "The study given as earlier is this very series.",
        "Die als früher angegebene Untersuchung ist genau diese Serie.",
        "L’examen donné comme antérieur est cette même série.",
        "El estudio indicado como anterior es esta misma serie.",
    ],
    [
        "Other reconstruction kernel ({}, earlier {}): densities and edges differ.",
        "Anderer Rekonstruktionskernel ({}, früher {}): Dichten und Kanten unterscheiden sich.",
        "Autre filtre de reconstruction ({}, antérieur {}) : densités et contours diffèrent.",
        "Otro filtro de reconstrucción ({}, anterior {}): densidades y bordes difieren.",
    ],
    [
        "Contrast agent was given in one of the studies only: densities differ.",
        "Nur in einer der Untersuchungen wurde Kontrastmittel gegeben: Dichten unterscheiden sich.",
        "Un produit de contraste n’a été injecté que dans un des examens : les densités diffèrent.",
        "Solo se administró contraste en uno de los estudios: las densidades difieren.",
    ],
    [
        "Slices of {} mm, earlier {} mm: small opacities and volumes are less sure.",
        "Schichten von {} mm, früher {} mm: kleine Verdichtungen und Volumina sind weniger sicher.",
        "Coupes de {} mm, antérieures {} mm : petites opacités et volumes sont moins sûrs.",
        "Cortes de {} mm, anteriores {} mm: las opacidades pequeñas y los volúmenes son menos seguros.",
    ],
];

/// The sentence in a language; `None` if it has no row.
pub(crate) fn translated(sentence: &str, language: Language) -> Option<String> {
    let column = Language::ALL.iter().position(|own| *own == language)?;
    SENTENCES.iter().find_map(|row| {
        let values = holes(row[0], sentence)?;
        let mut text = String::with_capacity(row[column].len());
        let mut values = values.into_iter().map(|value| in_language(value, language));
        for (at, part) in row[column].split("{}").enumerate() {
            if at > 0 {
                text += &values.next()?;
            }
            text += part;
        }
        let mut letters = text.chars();
        match letters.next() {
            // A lobe may begin a sentence; words by themselves stay as they are.
            Some(first) if text.ends_with('.') => Some(first.to_uppercase().chain(letters).collect()),
            _ => Some(text),
        }
    })
}

/// A number as the language writes it, a word or sentence that has a row, or what it was.
fn in_language(value: &str, language: Language) -> String {
    match value.parse::<f64>() {
        Ok(number) => language.number(number, value.split_once('.').map_or(0, |(_, digits)| digits.len())),
        Err(_) => translated(value, language).unwrap_or_else(|| value.to_string()),
    }
}

/// What stands in a sentence where its pattern has `{}`; `None` if it is another sentence.
fn holes<'a>(pattern: &str, sentence: &'a str) -> Option<Vec<&'a str>> {
    let mut parts = pattern.split("{}");
    let mut rest = sentence.strip_prefix(parts.next()?)?;
    let mut found = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        let at = if parts.peek().is_some() { rest.find(part)? } else { rest.strip_suffix(part)?.len() };
        if at == 0 {
            return None;
        }
        found.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(found)
}

#[cfg(test)]
mod tests {
    use hilum_findings::{CoRads, CoRadsEvidence, Scores, suggest_co_rads, triage};

    use super::*;

    #[test]
    fn rows_fill_in_the_same_things_in_every_language_with_letters_that_there_are() {
        for row in SENTENCES {
            for text in row {
                assert!(!text.is_empty(), "{row:?}");
                assert_eq!(text.matches("{}").count(), row[0].matches("{}").count(), "{text}");
                assert!(text.chars().all(crate::font::has_glyph), "{text}");
            }
        }
        for (at, row) in SENTENCES.iter().enumerate() {
            let first = SENTENCES.iter().position(|other| holes(other[0], row[0]).is_some());
            assert_eq!(first, Some(at), "{} is taken for another sentence", row[0]);
        }
    }

    #[test]
    fn numbers_lobes_and_sentences_within_sentences_are_of_the_language() {
        let of = |text| translated(text, Language::German);
        let slices =
            "Slices 7.5 mm apart blur small structures into apparent ground-glass: the pattern is not graded higher.";
        assert!(of(slices).unwrap().starts_with("Schichten im Abstand von 7,5 mm"));
        assert_eq!(of("The right middle lobe was not found.").unwrap(), "Mittellappen: nicht gefunden.");
        assert_eq!(of("The left lower lobe was not found.").unwrap(), "Linker Unterlappen: nicht gefunden.");
        let refused = of("The study was not analysed. No opacity was found.").unwrap();
        assert_eq!(refused, "Die Untersuchung wurde nicht ausgewertet. Es wurde keine Verdichtung gefunden.");
        let kernels = of("Other reconstruction kernel (Br64, earlier B30f): densities and edges differ.").unwrap();
        assert!(kernels.starts_with("Anderer Rekonstruktionskernel (Br64, früher B30f)"));
        assert_eq!(of("Nobody wrote this."), None);
        assert_eq!(of("The  was not found."), None, "nothing is filled in");
    }

    /// Whatever the rules of triage and CO-RADS say has a row.
    #[test]
    fn all_reasons_of_triage_and_co_rads_are_there_in_every_language() {
        let shares = [0.05, 0.3, 0.6, 0.95];
        let mut reasons = std::collections::BTreeSet::new();
        for case in 0..4_usize.pow(7) {
            let share = |place: u32| shares[case / 4_usize.pow(place) % 4];
            let evidence = CoRadsEvidence {
                listed_components: case % 4,
                bilateral: case / 4 % 2 == 0,
                multifocal: case / 8 % 2 == 0,
                peripheral_share: share(2),
                peripheral_share_of_lung: share(3),
                posterior_share: share(4),
                lower_lobe_share: share(4),
                largest_lobe_share: share(4),
                ground_glass_share: (case / 1024 % 4 > 0).then(|| share(5)),
                percent_of_lung: 100.0 * share(6),
                slice_spacing_mm: if case % 3 == 0 { 8.0 } else { 1.0 },
            };
            reasons.extend(suggest_co_rads(&evidence).reasons.into_iter().map(|reason| reason.text));
        }
        for severity in 0..=4 {
            for (ctss, percent, grade) in [(0, 0.0, 1), (5, 3.0, 3), (5, 3.0, 5), (18, 40.0, 3), (12, 60.0, 3)] {
                let co_rads = CoRads { grade: Some(grade), reasons: vec![] };
                let ctss_0_25 = Some(ctss);
                let scores = Scores { ctss_0_25, severity_ct_0_4: Some(severity), co_rads, ..Scores::default() };
                reasons.extend(triage(&scores, percent).reason);
            }
        }
        assert!(reasons.len() > 25, "{reasons:?}");
        for reason in &reasons {
            for language in Language::ALL {
                let text = translated(reason, language).unwrap_or_else(|| panic!("{reason} has no row"));
                assert_eq!(text == *reason, language == Language::English, "{reason}");
            }
        }
    }
}
